"""What the filter stage reports of the pool, the filtered set and its random twin."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.config.filter import ManifoldFilterConfig
from synthdata.features.boxes import BoxFeatures
from synthdata.filters.base import ImageScore
from synthdata.filters.decide import Decision
from synthdata.filters.manifold import class_coverage
from synthdata.samples import DetectionDataset

# Real crops that the pool covers: of fewer, chance decides how many the kept set covers.
_FEW_CROPS: Final = 5


@dataclass(frozen=True)
class Crops:
    """Features of the real train crops and of the pool's, and how they were made."""

    config: ManifoldFilterConfig
    encoder: dict[str, str]
    real: BoxFeatures
    pool: BoxFeatures


def measure(
    pool: DetectionDataset,
    scores: Mapping[str, list[ImageScore]],
    decisions: list[Decision],
    frame: pd.DataFrame,
    crops: Crops,
) -> dict[str, Any]:
    """Return the stage's metrics.

    Args:
        pool: The images.
        scores: By filter, in the pool's order.
        decisions: In the pool's order.
        frame: The decisions' table, with the random twin.
        crops: Features.

    Returns:
        `num_images`, `mean_score` by filter and `sets` (objects, coverage), each for
        `pool`, `filtered` and `random_drop`; `relative_coverage`, what the kept set
        covers of the real crops that the pool covers, by class; `rejected_by`; the encoder.
    """
    everything = np.ones(len(pool), dtype=bool)
    sets = {
        "pool": everything,
        "filtered": frame["kept"].to_numpy(dtype=bool),
        "random_drop": frame["random_kept"].to_numpy(dtype=bool),
    }
    by_set = {name: _set_metrics(pool, chosen, crops) for name, chosen in sets.items()}
    return {
        "num_images": {name: int(chosen.sum()) for name, chosen in sets.items()},
        "rejected_by": dict(Counter(d.rejected_by for d in decisions if not d.kept)),
        "mean_score": {
            kind: {name: _mean_score(values, chosen) for name, chosen in sets.items()}
            for kind, values in scores.items()
        },
        "sets": by_set,
        "relative_coverage": _relative_coverage(
            *(by_set[name]["coverage_by_class"] for name in ("filtered", "pool")),
            num_real=np.bincount(crops.real.class_id, minlength=len(pool.class_names)).tolist(),
        ),
        "encoder": crops.encoder,
        "num_neighbors": crops.config.num_neighbors,
    }


def _relative_coverage(
    filtered: Mapping[str, float | None],
    pool: Mapping[str, float | None],
    *,
    num_real: Sequence[int],
) -> dict[str, float | None]:
    """Return the ratio by class; None where the pool covers too few crops for one."""
    return {
        name: round((filtered[name] or 0) / covered, 6)
        if covered and covered * num >= _FEW_CROPS
        else None
        for (name, covered), num in zip(pool.items(), num_real, strict=True)
    }


def _mean_score(scores: list[ImageScore], chosen: npt.NDArray[np.bool_]) -> float | None:
    known = [
        s.score for s, wanted in zip(scores, chosen, strict=True) if wanted and s.score is not None
    ]
    return round(float(np.mean(known)), 6) if known else None


def _set_metrics(
    pool: DetectionDataset, chosen: npt.NDArray[np.bool_], crops: Crops
) -> dict[str, Any]:
    generated = crops.pool.select(chosen[crops.pool.image])
    num_classes = len(pool.class_names)
    coverage = class_coverage(
        real=crops.real,
        generated=generated,
        num_neighbors=crops.config.num_neighbors,
        num_classes=num_classes,
    )
    objects = np.bincount(generated.class_id, minlength=num_classes).tolist()
    known = [value for value in coverage if value is not None]
    return {
        "objects": dict(zip(pool.class_names, objects, strict=True)),
        "coverage_by_class": dict(zip(pool.class_names, coverage, strict=True)),
        "mean_class_coverage": float(np.mean(known)) if known else None,
    }
