"""How much the differences between arms owe to which images they were scored on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.armfolder import EVAL
from synthdata.config.arms import Contrast
from synthdata.detectors.jobs import read_predictions
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import bootstrap_counts, bootstrap_map
from synthdata.report.run import Run
from synthdata.samples import IntArray
from synthdata.seeding import derive_seed
from synthdata.verdict import image_variance


@dataclass(frozen=True)
class ImageBootstrap:
    """Scores on resampled images, the same resamples for all arms and seeds.

    Attributes:
        map50_95: Arm to `(seeds, resamples)` scores; empty where nothing was resampled.
        num_units: Images that were resampled, or groups of images that belong together; None
            where nothing was.
    """

    map50_95: Mapping[str, npt.NDArray[np.float64]]
    num_units: int | None = None

    def variances(self, contrasts: Sequence[Contrast]) -> dict[Contrast, float] | None:
        """Return the variance that the choice of images gives each contrast.

        Returns:
            None where nothing was resampled.
        """
        if not self.map50_95:
            return None
        return image_variance(self.map50_95, contrasts=contrasts)


def resample_images(
    run: Run, evaluation_set: str, arms: Sequence[str], *, num_resamples: int
) -> ImageBootstrap:
    """Score arms and seeds on resampled evaluation images.

    Args:
        run: The finished run.
        evaluation_set: Which images.
        arms: Which.
        num_resamples: How many; 0 resamples nothing.
    """
    if not num_resamples:
        return ImageBootstrap({})
    scores, groups = _score(
        run,
        evaluation_set,
        arms,
        draw=lambda groups: bootstrap_counts(
            len(groups),
            num_resamples=num_resamples,
            seed=derive_seed(0, "report", "images"),
            groups=groups,
        ),
    )
    return ImageBootstrap(scores, num_units=len(set(groups)))


def score_halves(
    run: Run, evaluation_set: str, arms: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores on either half of the evaluation images, drawn at random.

    Groups of images that belong together stay together.

    Args:
        run: The finished run.
        evaluation_set: Which images.
        arms: Which.

    Returns:
        Columns `arm`, `seed`, `map50_95`; NaN for a half without any object.
    """
    scores, _ = _score(run, evaluation_set, arms, draw=_halves)
    first, second = (
        pd.DataFrame(
            [
                {"arm": arm, "seed": seed, "map50_95": by_half[half]}
                for arm, by_seed in scores.items()
                for seed, by_half in zip(run.seeds, by_seed, strict=True)
            ]
        )
        for half in (0, 1)
    )
    return first, second


def _halves(groups: Sequence[str]) -> IntArray:
    """Return which images are in which half, `(2, num_images)` zeros and ones."""
    names = list(dict.fromkeys(groups))
    order = np.random.default_rng(derive_seed(0, "report", "halves")).permutation(len(names))
    in_first = {names[i] for i in order[: len(names) // 2]}
    first = np.array([group in in_first for group in groups], dtype=np.int64)
    return np.stack([first, 1 - first])


def _score(
    run: Run,
    evaluation_set: str,
    arms: Sequence[str],
    *,
    draw: Callable[[Sequence[str]], IntArray],
) -> tuple[dict[str, npt.NDArray[np.float64]], list[str]]:
    """Return arms' `(seeds, draws)` scores on images drawn by their groups, and the groups."""
    scores: dict[str, list[npt.NDArray[np.float64]]] = {arm: [] for arm in arms}
    groups: list[str] = []
    for folder in run.of("train"):
        version = run.folders[folder.seed, "version"].path
        truth = load_dataset(version / EVAL / evaluation_set)
        groups = truth.groups()
        counts = draw(groups)
        for arm in arms:
            job_dir = folder.path / "jobs" / arm
            found = read_predictions(job_dir, evaluation_set, num_images=len(truth))
            scores[arm].append(bootstrap_map(truth, found, counts=counts))
    return {arm: np.stack(rows) for arm, rows in scores.items()}, groups
