"""One step of a plan as a Prefect task: retried, logged, never cached.

Freshness is decided by the stage's own folder, so Prefect's cache stays out of it.
"""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from synthdata.config import ExperimentConfig, StageName, load_config
from synthdata.errors import SynthdataError
from synthdata.plan import Step, plan
from synthdata.runfolder import hold_runs
from synthdata.stages import run_step


def _may_pass(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass the next time: not an error that synthdata raised on purpose."""
    return not isinstance(state.data, SynthdataError)


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=_may_pass,
    task_run_name="{label}",
)
def run_step_task(step: Step, label: str) -> dict[str, Any]:  # noqa: ARG001  # names the task run
    """Run one step; return what it measured."""
    return dict(run_step(step).metrics)


def run_steps(config: ExperimentConfig, stage: StageName | None = None) -> dict[str, Any]:
    """Run the plan's steps, or one stage's, in order; return the last one's metrics."""
    metrics: dict[str, Any] = {}
    steps = [step for step in plan(config, Path.cwd()) if stage in (None, step.stage)]
    with hold_runs([step.out_dir for step in steps], config):
        for step in steps:
            where = "" if step.seed is None else f" seed {step.seed}"
            metrics = run_step_task(step, label=f"{step.stage}{where}")
    return metrics


def run_stage(stage: StageName, config: str, overrides: list[str]) -> dict[str, Any]:
    """Run one stage of a config for every repetition."""
    return run_steps(load_config(config, overrides), stage)
