"""Running a plan's steps in this process, one after the other."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from synthdata.config import ExperimentConfig
from synthdata.plan import Step
from synthdata.runfolder import hold_runs
from synthdata.stages import run_step
from synthdata.upstream import is_fresh

logger = logging.getLogger(__name__)


def run_steps(
    config: ExperimentConfig, steps: Sequence[Step], *, upstream: Sequence[Step] = ()
) -> list[Mapping[str, Any]]:
    """Run steps of a config's plan, and return the metrics of each.

    Args:
        config: The experiment. While its steps run, no process with another one enters the run.
        steps: Which.
        upstream: What they need, in order; of it is run what isn't there as the config has it.

    Raises:
        RunError: If a run is held by a process with another config.
        SynthdataError: What a stage raises.
    """
    metrics = []
    with hold_runs([step.out_dir for step in (*upstream, *steps)], config):
        for step in upstream:
            if not is_fresh(step):
                logger.info("needed first: %s%s", step.stage, _of_seed(step))
                run_step(step)
        for number, step in enumerate(steps, start=1):
            logger.info("[%d/%d] %s%s", number, len(steps), step.stage, _of_seed(step))
            metrics.append(run_step(step).metrics)
    return metrics


def _of_seed(step: Step) -> str:
    return "" if step.seed is None else f" (seed {step.seed})"
