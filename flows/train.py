"""The `train` stage as a flow: train and evaluate the detector on every arm."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-train")
def train(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Train and evaluate the detector on every arm, for every repetition of a config."""
    return run_stage("train", config, overrides or [])
