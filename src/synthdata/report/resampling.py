"""How much the differences between arms owe to which images they were scored on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthdata.detectors.jobs import read_predictions
from synthdata.evaluation import image_variances
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import bootstrap_counts, bootstrap_map
from synthdata.report.run import Run, StageFolder
from synthdata.samples import DetectionDataset, IntArray
from synthdata.seeding import derive_seed


@dataclass(frozen=True)
class ImageBootstrap:
    """Scores on resampled images, the same resamples for all arms and seeds.

    Attributes:
        map50_95: Arm to `(seeds, resamples)` scores; empty where nothing was resampled.
    """

    map50_95: Mapping[str, npt.NDArray[np.float64]]

    def variances(self, arms: Sequence[str], *, reference: str) -> dict[str, float] | None:
        """Return the variance of each arm's mean difference to `reference` over resamples.

        Returns:
            None where nothing was resampled.
        """
        if not self.map50_95:
            return None
        return image_variances(
            {arm: self.map50_95[arm] for arm in (reference, *arms)}, reference=reference
        )


def resample_images(run: Run, arms: Sequence[str], *, num_resamples: int) -> ImageBootstrap:
    """Score every arm and seed on resampled evaluation images.

    Args:
        run: The finished run.
        arms: Which.
        num_resamples: How many; 0 resamples nothing.
    """
    if not num_resamples:
        return ImageBootstrap({})
    scores: dict[str, list[npt.NDArray[np.float64]]] = {arm: [] for arm in arms}
    for folder in run.of("train"):
        truth = _evaluation_images(run, folder)
        counts = bootstrap_counts(
            len(truth), num_resamples=num_resamples, seed=derive_seed(0, "report", "images")
        )
        for arm in arms:
            scores[arm].append(_score(folder, arm, truth, counts))
    return ImageBootstrap({arm: np.stack(rows) for arm, rows in scores.items()})


def _evaluation_images(run: Run, folder: StageFolder) -> DetectionDataset:
    split = str(folder.metrics["evaluation_split"])
    return load_dataset(run.folders[folder.seed, "version"].path / "eval" / split)


def _score(
    folder: StageFolder, arm: str, truth: DetectionDataset, counts: IntArray
) -> npt.NDArray[np.float64]:
    predictions = read_predictions(
        folder.path / "jobs" / arm,
        str(folder.metrics["evaluation_split"]),
        num_images=len(truth),
    )
    return bootstrap_map(truth, predictions, counts=counts)
