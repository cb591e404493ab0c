"""Scores images by the agreement of a detector with what the layout promised.

The judge is trained on the real train split only. The score is an F2 of boxes in which a
moved one counts half: `5 * (found + moved / 2) / (4 * promised + detected)`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthdata.config.filter import DetectorFilterConfig, JudgeConfig
from synthdata.detectors.jobs import train_and_predict
from synthdata.filters.base import ImageScore
from synthdata.metrics.agreement import Agreement, compare_with_layout
from synthdata.samples import DetectionDataset, join_datasets
from synthdata.seeding import derive_seed


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
    targets = join_datasets(real=train, pool=pool)
    agreements = ask_judge(
        config,
        train=train,
        targets=targets,
        seed=derive_seed(seed, "filter-judge"),
        work_dir=work_dir,
    )
    return DetectorJudgement(
        scores=[
            ImageScore(sample.sample_id, agreement.score, agreement.detail)
            for sample, agreement in zip(pool, agreements[len(train) :], strict=True)
        ],
        real_score=float(np.mean([agreement.score for agreement in agreements[: len(train)]])),
    )


def ask_judge(
    config: JudgeConfig,
    *,
    train: DetectionDataset,
    targets: DetectionDataset,
    seed: int,
    work_dir: Path,
) -> list[Agreement]:
    """Train a judge, and return how its detections agree with what each target promises.

    Raises:
        DatasetError: If the train split is empty.
        TrainingError: If the training fails.
    """
    detections = train_and_predict(
        config.detector,
        train=train,
        targets=targets,
        steps=config.steps,
        batch_size=config.batch_size,
        seed=seed,
        threads=config.threads,
        out_dir=work_dir,
    )
    return [
        compare_with_layout(
            sample.annotations,
            found.above(config.confidence),
            iou_threshold=config.iou_threshold,
        )
        for sample, found in zip(targets, detections, strict=True)
    ]
