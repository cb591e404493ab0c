"""The `layout` stage as a flow: sample layouts for new images."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-layout")
def layout(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Sample layouts for new images, for every repetition of a config."""
    return run_stage("layout", config, overrides or [])
