"""What the run's stages took, and what each arm's images cost beyond the detector's training."""

from collections.abc import Iterable

from synthdata.config import StageName
from synthdata.config.arms import KEEP_FILTERED, KEEP_RANDOM, ArmConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.pools import pool_order, uses_generator
from synthdata.report.run import Run, StageFolder


def stage_timings(run: Run) -> dict[str, float]:
    """Return the seconds of each stage over all repetitions; a shared stage counts once."""
    return {
        stage: round(sum(stage_seconds(folder) for folder in run.computed(stage)), 3)
        for stage in run.stages()
    }


def stage_seconds(folder: StageFolder) -> float:
    """Return what a stage took, over all calls where it was killed and resumed.

    `elapsed_s` is the last call's, so that a stage whose parts keep their own times is taken
    by these where they are more.
    """
    metrics = folder.metrics
    parts = 0.0
    if folder.stage == "fit":
        parts = sum(phase["elapsed_s"] for phase in metrics.get("phases", {}).values())
    elif folder.stage == "generate":
        parts = sum(pool["elapsed_s"] for pool in metrics["pools"].values())
    elif folder.stage == "train":
        trained = sum(arm["seconds"] for arm in metrics["arms"].values())
        parts = trained / min(folder.section["num_jobs"], len(metrics["arms"]))
    return max(float(metrics["elapsed_s"]), parts)


def image_seconds(run: Run, arm: ArmConfig) -> float | None:
    """Return what making an arm's extra images takes in one repetition, in seconds.

    Pools that it takes images from, those that these build on, and where they need them the
    model's fit, the layouts and the filters.

    Returns:
        None for an arm that has no made images, and for what one filter keeps alone, since its part
        of the stage isn't measured.
    """
    keeps = {part.keep for _, part in arm.extras()}
    if not arm.pools or not keeps <= {None, KEEP_FILTERED, KEEP_RANDOM}:
        return None
    made = GenerateConfig.model_validate(run.first("generate").section).pools
    names = pool_order(made, arm.pools)
    stages: list[StageName] = []
    if uses_generator(made, arm.pools):
        stages += ["fit", "layout"]
    if KEEP_FILTERED in keeps:
        stages.append("filter")
    once = sum(_mean(stage_seconds(folder) for folder in run.computed(stage)) for stage in stages)
    pools = [folder.metrics["pools"] for folder in run.computed("generate")]
    return round(once + sum(_mean(float(m[n]["elapsed_s"]) for m in pools) for n in names), 3)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
