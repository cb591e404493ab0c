"""Scores images by where their box crops lie to the real crops of the same class.

A crop inside the manifold of the real crops scores .5 to 1 by its density: one that only the
wide ball of an odd real crop holds isn't as good as one among many. A crop outside scores below
.5 by its realism. An image scores the mean over its classes of the mean over its boxes, so that
one bad white cell among twelve red ones shows. Background isn't judged: cells that nobody asked
for are the detector filter's business.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthdata.features.boxes import BoxFeatures
from synthdata.filters.base import ImageScore
from synthdata.metrics.manifold import covered_points, manifold_membership
from synthdata.samples import DetectionDataset


@dataclass(frozen=True)
class CropJudgement:
    """What the manifold says of N crops.

    Attributes:
        inside: `(N,)` whether the crop is inside its class's real manifold.
        score: `(N,)` in [0, 1]; at least .5 inside; NaN where its class has fewer than two real
            crops.
    """

    inside: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float64]


def judge_crops(*, real: BoxFeatures, generated: BoxFeatures, num_neighbors: int) -> CropJudgement:
    """Return each generated crop's place, by class.

    A class with no more than `num_neighbors` real crops is judged with fewer neighbours.
    """
    inside = np.zeros(len(generated.class_id), dtype=bool)
    score = np.full(len(generated.class_id), np.nan)
    for class_id in np.unique(generated.class_id).tolist():
        reference = real.features[real.class_id == class_id]
        if len(reference) < 2:
            continue
        chosen = generated.class_id == class_id
        found = manifold_membership(
            features_query=generated.features[chosen],
            features_reference=reference,
            num_neighbors=min(num_neighbors, len(reference) - 1),
        )
        inside[chosen] = found.inside
        density, realism = (np.minimum(one, 1) for one in (found.density, found.realism))
        score[chosen] = np.where(found.inside, 1 + density, realism) / 2
    return CropJudgement(inside, score)


def score_by_manifold(
    pool: DetectionDataset, *, real: BoxFeatures, generated: BoxFeatures, num_neighbors: int
) -> list[ImageScore]:
    """Return a score an image of the pool, in its order."""
    judged = judge_crops(real=real, generated=generated, num_neighbors=num_neighbors)
    bounds = np.searchsorted(generated.image, np.arange(len(pool) + 1))
    return [
        _image_score(
            sample.sample_id,
            CropJudgement(judged.inside[start:end], judged.score[start:end]),
            generated.class_id[start:end],
        )
        for sample, start, end in zip(pool, bounds[:-1], bounds[1:], strict=True)
    ]


def _image_score(
    sample_id: str, judged: CropJudgement, class_id: npt.NDArray[np.int64]
) -> ImageScore:
    known = ~np.isnan(judged.score)
    if not known.any():
        return ImageScore(sample_id, None, "no box of a class with two real crops")
    classes = np.unique(class_id[known])
    score = np.mean([judged.score[known & (class_id == one)].mean() for one in classes])
    num_outside = int((known & ~judged.inside).sum())
    detail = f"{num_outside} of {known.sum()} crops outside the real manifold"
    return ImageScore(sample_id, float(score), detail)


def class_coverage(
    *, real: BoxFeatures, generated: BoxFeatures, num_neighbors: int, num_classes: int
) -> list[float | None]:
    """Return the coverage of each class's real crops; None with fewer than two of them."""
    result: list[float | None] = []
    for class_id in range(num_classes):
        reference = real.features[real.class_id == class_id]
        if len(reference) < 2:
            result.append(None)
            continue
        covered = covered_points(
            features_real=reference,
            features_generated=generated.features[generated.class_id == class_id],
            num_neighbors=min(num_neighbors, len(reference) - 1),
        )
        result.append(float(covered.mean()))
    return result
