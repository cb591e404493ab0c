"""The `generate` stage as a flow: make an image a layout with each generator."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-generate")
def generate(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Make an image a layout with each generator, for every repetition of a config."""
    return run_stage("generate", config, overrides or [])
