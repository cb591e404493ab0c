"""Scores images by the agreement of a detector with what the layout promised.

The judge is trained on the real train split only. The score is an F1 of boxes in which a
moved one counts half: `2 * (found + moved / 2) / (promised + detected)`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from synthdata.boxes import FloatArray, iou_matrix
from synthdata.config.filter import DetectorFilterConfig
from synthdata.detections import Detections
from synthdata.detectors.jobs import train_and_predict
from synthdata.filters.base import ImageScore
from synthdata.samples import Annotations, DetectionDataset, Sample
from synthdata.seeding import derive_seed

# A detection of the right class that overlaps an unfound box at least this much is the
# promised object at the wrong place or of the wrong size.
_MOVED_IOU: Final = 0.1


@dataclass(frozen=True)
class Agreement:
    """How one image's detections agree with what it promises, in boxes."""

    num_promised: int
    num_found: int
    num_moved: int
    num_missing: int
    num_extra: int

    @property
    def score(self) -> float:
        """F1 in [0, 1], a moved box counting half; 1 where nothing is promised or found."""
        num_detected = self.num_found + self.num_moved + self.num_extra
        total = self.num_promised + num_detected
        return 2 * (self.num_found + self.num_moved / 2) / total if total else 1.0

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        parts = []
        if self.num_missing:
            parts.append(f"{self.num_missing} of {self.num_promised} boxes missing")
        if self.num_moved:
            parts.append(f"{self.num_moved} of {self.num_promised} boxes moved")
        if self.num_extra:
            parts.append(f"{self.num_extra} extra")
        return ", ".join(parts) or f"all {self.num_promised} boxes found, no extra"


def compare_with_layout(
    promised: Annotations, detected: Detections, *, iou_threshold: float
) -> Agreement:
    """Return how detections agree with promised boxes, matched one to one within a class."""
    num_found = num_moved = 0
    for class_id in np.unique(promised.class_id).tolist():
        iou = iou_matrix(
            promised.xyxy[promised.class_id == class_id],
            detected.xyxy[detected.class_id == class_id],
        )
        found, left = _match(iou, iou_threshold)
        moved, _ = _match(left, min(_MOVED_IOU, iou_threshold))
        num_found += found
        num_moved += moved
    return Agreement(
        num_promised=len(promised),
        num_found=num_found,
        num_moved=num_moved,
        num_missing=len(promised) - num_found - num_moved,
        num_extra=len(detected) - num_found - num_moved,
    )


def _match(iou: FloatArray, threshold: float) -> tuple[int, FloatArray]:
    """Return the largest number of pairs at the threshold, and the pairs that are left."""
    # Only pairs above the threshold count, so that a close pair isn't given up for a sum.
    rows, columns = linear_sum_assignment(np.where(iou >= threshold, 1 + iou, 0), maximize=True)
    matched = iou[rows, columns] >= threshold
    rows, columns = rows[matched], columns[matched]
    left = np.delete(np.delete(iou, rows, axis=0), columns, axis=1)
    return len(rows), left


@dataclass(frozen=True)
class DetectorJudgement:
    """What the judge says.

    Attributes:
        scores: Of the pool, in its order.
        real_score: Mean score of the real train images: what the judge gives to what it
            has learned from. Far below 1, it is no judge.
    """

    scores: list[ImageScore]
    real_score: float


def score_by_detector(
    config: DetectorFilterConfig,
    *,
    train: DetectionDataset,
    pool: DetectionDataset,
    seed: int,
    work_dir: Path,
) -> DetectorJudgement:
    """Train the judge, or go on where it was killed, and score each image of the pool.

    Raises:
        DatasetError: If the train split is empty.
        TrainingError: If the training fails.
    """
    # One job predicts both: the real images say how good the judge is at all.
    real = [_from_anywhere(sample, train, "real") for sample in train]
    generated = [_from_anywhere(sample, pool, "pool") for sample in pool]
    detections = train_and_predict(
        config.detector,
        train=train,
        targets=DetectionDataset(pool.root, pool.class_names, (*real, *generated)),
        steps=config.steps,
        batch_size=config.batch_size,
        seed=derive_seed(seed, "filter-judge"),
        threads=config.threads,
        out_dir=work_dir,
    )
    agreements = [
        compare_with_layout(
            sample.annotations,
            _confident(found, config.confidence),
            iou_threshold=config.iou_threshold,
        )
        for sample, found in zip((*real, *generated), detections, strict=True)
    ]
    return DetectorJudgement(
        scores=[
            ImageScore(sample.sample_id, agreement.score, agreement.detail)
            for sample, agreement in zip(pool, agreements[len(real) :], strict=True)
        ],
        real_score=float(np.mean([agreement.score for agreement in agreements[: len(real)]])),
    )


def _from_anywhere(sample: Sample, dataset: DetectionDataset, prefix: str) -> Sample:
    """Return the sample with an absolute path and an id that two data sets don't share."""
    path = dataset.image_path(sample).absolute()
    return replace(sample, path=path, sample_id=f"{prefix}/{sample.sample_id}")


def _confident(found: Detections, confidence: float) -> Detections:
    chosen = found.confidence >= confidence
    return Detections(found.xyxy[chosen], found.class_id[chosen], found.confidence[chosen])
