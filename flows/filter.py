"""The `filter` stage as a flow: score the generated images and decide which are kept."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-filter")
def filter(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Score the generated images and decide which are kept, for every repetition of a config."""
    return run_stage("filter", config, overrides or [])
