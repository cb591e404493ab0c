"""The `prepare` stage as a flow: fetch, check, split and resize the real data."""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-prepare")
def prepare(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Fetch, check, split and resize the real data, for every repetition of a config."""
    return run_stage("prepare", config, overrides or [])
