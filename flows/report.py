"""The `report` stage as a flow: compare the arms and write the verdict."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-report")
def report(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Compare the arms and write the verdict, for every repetition of a config."""
    return run_stage("report", config, overrides or [])
