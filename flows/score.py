"""The `score` stage as a flow: do generated images show what their layouts promise?"""

from typing import Any

from prefect import flow

from flows.steps import run_stage


@flow(name="synthdata-score")
def score(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Score generated images against their layouts, for every repetition of a config."""
    return run_stage("score", config, overrides or [])
