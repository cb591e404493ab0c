"""Scores images by whether each box's crop fits its class better than another, or background.

After ControlAug (box-crop CLIP ranking); whole-image CLIP was found close to random. An image
scores the geometric mean of its boxes' probabilities: one box that clearly shows something else
weighs more than several that are a little uncertain.
"""

from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.features.boxes import BoxFeatures
from synthdata.features.clip import BACKGROUND, ClipScorer
from synthdata.filters.base import ImageScore
from synthdata.samples import Annotations, DetectionDataset

# A box can't count as less: one hopeless box would make all images with one alike.
_FLOOR: Final = 1e-3


def score_by_clip(
    pool: DetectionDataset, *, scorer: ClipScorer, generated: BoxFeatures
) -> list[ImageScore]:
    """Return a score an image of the pool, in its order.

    Args:
        pool: The generated images.
        scorer: Tells classes and background apart.
        generated: The pool's crops, encoded by the scorer's encoder.
    """
    bounds = np.searchsorted(generated.image, np.arange(len(pool) + 1))
    names = [*pool.class_names, BACKGROUND]
    return [
        ImageScore(
            sample.sample_id,
            # An image at a time: a product's last digits depend on how many rows it has.
            *_judge(
                scorer.probabilities(generated.features[start:end]),
                sample.annotations,
                names,
                scorer.known,
            ),
        )
        for sample, start, end in zip(pool, bounds[:-1], bounds[1:], strict=True)
    ]


def _judge(
    probabilities: FloatArray,
    annotations: Annotations,
    names: list[str],
    known: npt.NDArray[np.bool_],
) -> tuple[float | None, str]:
    judged = known[annotations.class_id]
    probabilities, class_id = probabilities[judged], annotations.class_id[judged].tolist()
    if not class_id:
        return None, "no box of a class that CLIP knows"
    own = probabilities[np.arange(len(class_id)), class_id]
    best = probabilities.argmax(axis=1).tolist()
    mistaken = Counter(
        f"{names[one]} like {names[other]}"
        for one, other in zip(class_id, best, strict=True)
        if one != other
    )
    detail = f"{sum(mistaken.values())} of {len(class_id)} boxes look like something else"
    if mistaken:
        detail += ": " + ", ".join(f"{count} {what}" for what, count in mistaken.most_common())
    return float(np.exp(np.log(np.maximum(own, _FLOOR)).mean())), detail
