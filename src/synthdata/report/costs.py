"""What the run's stages took, and what each arm's images cost beyond the detector's training."""

from collections.abc import Iterable

from synthdata.config import STAGES, StageName
from synthdata.report.run import Run, StageFolder


def stage_timings(run: Run) -> dict[str, float]:
    """Return the seconds of each stage over all repetitions; a shared stage counts once."""
    return {
        stage: round(sum(stage_seconds(folder) for folder in run.computed(stage)), 3)
        for stage in STAGES[:-1]
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


def image_seconds(run: Run, arm: str) -> float | None:
    """Return what making an arm's extra images takes in one repetition, in seconds.

    Returns:
        None for an arm that has no made images, such as `real` and `oracle`, and for what one
        filter keeps alone, since its part of the stage isn't measured.
    """
    if arm == "copy_paste":
        return _pool_seconds(run, "copy_paste")
    if arm not in ("synthetic", "synthetic_random_drop", "synthetic_filtered"):
        return None
    stages: list[StageName] = ["fit", "layout"]
    if arm == "synthetic_filtered":
        stages.append("filter")
    once = sum(_mean(stage_seconds(folder) for folder in run.computed(stage)) for stage in stages)
    return round(once + (_pool_seconds(run, "synthetic") or 0.0), 3)


def _pool_seconds(run: Run, pool: str) -> float | None:
    pools = [folder.metrics["pools"] for folder in run.computed("generate")]
    if any(pool not in made for made in pools):
        return None
    return round(_mean(float(made[pool]["elapsed_s"]) for made in pools), 3)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
