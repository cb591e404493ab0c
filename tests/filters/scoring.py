"""Small values for the filters' tests."""

from pathlib import Path

import numpy as np

from synthdata.features.boxes import BoxFeatures
from synthdata.filters.base import ImageScore
from synthdata.samples import Annotations, DetectionDataset, Sample


def pool_of(*class_ids: list[int]) -> DetectionDataset:
    """A pool without files: an image a list, a box a class id."""
    return DetectionDataset(
        Path("pool"),
        ("RBC", "WBC", "Platelets"),
        tuple(
            Sample(
                f"s{i:02}", Path(f"images/s{i:02}.png"), 64, 48,
                Annotations(np.tile([0, 0, 9, 9], (len(ids), 1)), ids),
            )
            for i, ids in enumerate(class_ids)
        ),
    )  # fmt: skip


def features_of(pool: DetectionDataset, values: list[list[float]]) -> BoxFeatures:
    counts = [len(sample.annotations) for sample in pool]
    return BoxFeatures(
        np.array(values, np.float32).reshape(sum(counts), -1),
        np.repeat(np.arange(len(pool)), counts),
        np.concatenate([np.zeros(0, np.int64), *(s.annotations.class_id for s in pool)]),
    )


def scores_of(*scores: float | None) -> list[ImageScore]:
    return [ImageScore(f"s{i:02}", score, f"detail {i}") for i, score in enumerate(scores)]
