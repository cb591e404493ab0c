"""Scores images by how hard they are for detectors that never saw them: the middle is best.

Filters that ask for agreement keep what a judge knows already. Here an image is as good as its
error is usual for real images. A real image's error is that of a judge trained without its fold; an
image of the pool is in no fold, and its error is the mean over all judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import percentileofscore

from synthdata.config.filter import DifficultyFilterConfig
from synthdata.errors import DatasetError
from synthdata.filters.base import ImageScore
from synthdata.filters.detector import ask_judge
from synthdata.samples import DetectionDataset, join_datasets
from synthdata.seeding import derive_seed

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difficulty:
    """How hard images are.

    Attributes:
        scores: Of the pool, in its order.
        real_errors: `(N,)` in [0, 1], the out-of-fold errors of the real train images, in the
            order of the folds.
    """

    scores: list[ImageScore]
    real_errors: Float64Array

    def describe(self) -> dict[str, float]:
        """Return what the real images' errors are, for `metrics.json`."""
        quartiles = np.percentile(self.real_errors, [25, 50, 75])
        names = ("lower quartile", "median", "upper quartile")
        return {name: round(float(v), 6) for name, v in zip(names, quartiles, strict=True)}


def score_by_difficulty(
    config: DifficultyFilterConfig,
    *,
    train: DetectionDataset,
    pool: DetectionDataset,
    seed: int,
    work_dir: Path,
) -> Difficulty:
    """Train a judge a fold, or go on where one was killed, and score each image of the pool.

    Raises:
        DatasetError: If there are fewer groups of train images than folds.
        TrainingError: If a training fails.
    """
    real_errors, pool_errors = [], []
    for number, (seen, unseen) in enumerate(split_in_folds(train, config.folds, seed=seed)):
        targets = join_datasets(real=unseen, pool=pool)
        agreements = ask_judge(
            config,
            train=seen,
            targets=targets,
            seed=derive_seed(seed, f"difficulty-judge-{number}"),
            work_dir=work_dir / f"fold-{number}",
        )
        errors = [1 - agreement.score for agreement in agreements]
        real_errors += errors[: len(unseen)]
        pool_errors.append(errors[len(unseen) :])
    usual = np.array(real_errors)
    return Difficulty(
        scores=[
            score_error(sample.sample_id, float(error), usual, config.band)
            for sample, error in zip(pool, np.mean(pool_errors, axis=0), strict=True)
        ],
        real_errors=usual,
    )


def split_in_folds(
    train: DetectionDataset, num: int, *, seed: int
) -> Iterator[tuple[DetectionDataset, DetectionDataset]]:
    """Yield, for each fold, the images outside of it and those in it; groups stay whole.

    Raises:
        DatasetError: If there are fewer groups than folds.
    """
    groups = train.groups()
    names = sorted(set(groups))
    if len(names) < num:
        raise DatasetError(
            f"filter difficulty needs a group of train images for each of its {num} folds, got "
            f"{len(names)} in {len(train)} images; lower its folds, or raise prepare.train_images"
        )
    rng = np.random.default_rng(derive_seed(seed, "difficulty-folds"))
    fold_of = {names[group]: place % num for place, group in enumerate(rng.permutation(len(names)))}
    for fold in range(num):
        inside = [fold_of[group] == fold for group in groups]
        yield (
            replace(train, samples=tuple(s for s, i in zip(train, inside, strict=True) if not i)),
            replace(train, samples=tuple(s for s, i in zip(train, inside, strict=True) if i)),
        )


def score_error(
    sample_id: str, error: float, usual: Float64Array, band: tuple[float, float]
) -> ImageScore:
    """Return the score of an image.

    Args:
        sample_id: The image.
        error: Its error, in [0, 1].
        usual: `(N,)` the errors of real images.
        band: Percentiles of these; see `DifficultyFilterConfig`.
    """
    percentile = float(percentileofscore(usual, error, kind="mean"))
    low, high = band
    score = float(np.interp(percentile, [0, low, (low + high) / 2, high, 100], [0, 0.5, 1, 0.5, 0]))
    where = "as hard as real images are"
    if percentile < low:
        where = "easier than most real images"
    elif percentile > high:
        where = "harder than most real images"
    detail = f"error {error:.2f}, percentile {percentile:.0f} of real images': {where}"
    return ImageScore(sample_id, score, detail)
