"""The `fit` stage as a flow: train, or name, the image generator."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-fit")
def fit(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Train, or name, the image generator, for every repetition of a config."""
    return run_stage("fit", config, overrides or [])
