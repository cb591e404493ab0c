"""What stands in the way of a claim: few seeds, few images, unequal lists."""

import pandas as pd

from synthdata.config.report import ReportConfig
from synthdata.report.run import Run

RECOMMENDED_SEEDS = 5
_NOTHING_LEARNT = 0.01
_FEW_IMAGES = 50


def cautions(section: ReportConfig, run: Run, scores: pd.DataFrame) -> list[str]:
    """Return sentences for people.

    Args:
        section: What the report was asked for.
        run: The finished run.
        scores: Columns `arm`, `seed`, `map50_95` on the evaluation split.
    """
    found = []
    if scores["map50_95"].max() < _NOTHING_LEARNT:
        found.append(
            f"No detector of any arm reached {_NOTHING_LEARNT} mAP50-95: nothing was learnt, so "
            "nothing can be concluded; train longer, or on more images."
        )
    if len(run.seeds) < RECOMMENDED_SEEDS:
        found.append(
            f"{len(run.seeds)} repetition{'s' * (len(run.seeds) != 1)}, where a claim needs "
            f"{RECOMMENDED_SEEDS}: this is a demonstration, and another machine or other seeds "
            "may give another verdict."
        )
    if not section.bootstrap_samples:
        found.append(
            "report.bootstrap_samples is 0, so that the intervals leave out the chance of which "
            "images were scored."
        )
    for name, one in run.first("train").metrics["sets"].items():
        num_images = one["num_images"]
        if num_images < _FEW_IMAGES:
            found.append(
                f"Only {num_images} image{'s' * (num_images != 1)} of {name} were scored, too few "
                "to tell by resampling what others would have given: the intervals are too narrow."
            )
    found += _places_missing(section, run)
    steps = {one["steps"] for folder in run.of("train") for one in folder.metrics["arms"].values()}
    if len(steps) > 1:
        found.append("The arms were trained with different numbers of steps: not equal work.")
    return found


def _places_missing(section: ReportConfig, run: Run) -> list[str]:
    """Say which arms don't hold all of their pools' images."""
    arms = run.first("version").metrics["arms"]
    return [
        f"{arm.title}: {number} images of pool {pool}, drawn at random, have no place in its list; "
        "set version.list_length to auto to train on all."
        for name, arm in section.arms.items()
        for pool, number in arms[name]["images_left_out"].items()
    ]
