"""How much the differences between arms owe to which images they were scored on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthdata.armfolder import EVAL
from synthdata.config.arms import Contrast
from synthdata.detectors.jobs import read_predictions
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import bootstrap_counts, bootstrap_map
from synthdata.report.run import Run
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
    scores: dict[str, list[npt.NDArray[np.float64]]] = {arm: [] for arm in arms}
    groups: list[str] = []
    for folder in run.of("train"):
        version = run.folders[folder.seed, "version"].path
        truth = load_dataset(version / EVAL / evaluation_set)
        groups = truth.groups()
        counts = bootstrap_counts(
            len(truth),
            num_resamples=num_resamples,
            seed=derive_seed(0, "report", "images"),
            groups=groups,
        )
        for arm in arms:
            job_dir = folder.path / "jobs" / arm
            found = read_predictions(job_dir, evaluation_set, num_images=len(truth))
            scores[arm].append(bootstrap_map(truth, found, counts=counts))
    stacked = {arm: np.stack(rows) for arm, rows in scores.items()}
    return ImageBootstrap(stacked, num_units=len(set(groups)))
