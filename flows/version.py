"""The `version` stage as a flow: write each arm as a data set and version it."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-version")
def version(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Write each arm as a data set and version it, for every repetition of a config."""
    return run_stage("version", config, overrides or [])
