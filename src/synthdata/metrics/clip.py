"""Metrics on CLIP's vectors: CMMD between two sets of images, CLIP score of images and texts.

All are computed in float64, of vectors scaled to length 1, and in blocks, so that memory stays
bounded.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.metrics.arrays import check_features

Float64Array = npt.NDArray[np.float64]

_SIGMA: Final = 10.0
_SCALE: Final = 1000.0
_BLOCK_ENTRIES: Final = 4_000_000  # 32 MB of kernel values at once


def cmmd(*, features_real: FloatArray, features_generated: FloatArray) -> float:
    """Return CMMD, Jayasumana et al., "Rethinking FID", 2024: the squared MMD times 1,000.

    The kernel is Gaussian with sigma 10. It is the unbiased estimator that the paper defines:
    near 0 it may be negative, and is not clipped. The paper's public code leaves the diagonals
    in (it calls the two almost identical), which adds `1000 (1 - mean kernel)` over the number
    of vectors for each set. For a few dozen vectors that is not small.

    Args:
        features_real: `(N, D)` CLIP image vectors of any length but 0, N at least 2.
        features_generated: `(M, D)`, M at least 2.

    Returns:
        At most 40; 0 is best.

    Raises:
        ValueError: If a set has fewer than 2 vectors, the widths differ, or a value isn't
            finite.
    """
    check_features(features_real, features_generated)
    if min(len(features_real), len(features_generated)) < 2:
        raise ValueError(
            f"CMMD needs at least 2 vectors in each set, got {len(features_real)} real and "
            f"{len(features_generated)} generated; give more"
        )
    real, generated = _unit_length(features_real), _unit_length(features_generated)
    between = _kernel_sum(real, generated) / (len(real) * len(generated))
    return _SCALE * (_mean_within(real) + _mean_within(generated) - 2 * between)


def clip_score(*, image_features: FloatArray, text_features: FloatArray) -> Float64Array:
    """Return each image's agreement with its text, `100 max(cos, 0)`; the mean is the set's.

    CLIPScore of Hessel et al. 2021 is `2.5 max(cos, 0)`; the scale of 100 is the one in which
    text-to-image work reports it. Divide by 40 for theirs.

    Args:
        image_features: `(N, D)` CLIP image vectors of any length but 0.
        text_features: `(N, D)` CLIP text vectors, one an image.

    Returns:
        `(N,)` in [0, 100], more is better.

    Raises:
        ValueError: If there isn't one text an image, the widths differ, or a value isn't finite.
    """
    check_features(image_features, text_features)
    if len(image_features) != len(text_features):
        raise ValueError(
            f"CLIP score needs one text an image, got {len(image_features)} images and "
            f"{len(text_features)} texts"
        )
    cosine = np.einsum("nd,nd->n", _unit_length(image_features), _unit_length(text_features))
    score: Float64Array = 100 * np.clip(cosine, 0, 1)
    return score


def _unit_length(features: FloatArray) -> Float64Array:
    vectors = features.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not length.all():
        raise ValueError("features must have a direction, got a vector of zeros")
    unit: Float64Array = vectors / length
    return unit


def _mean_within(vectors: Float64Array) -> float:
    """Return the kernel's mean over pairs of different vectors; of one with itself it is 1."""
    num = len(vectors)
    return (_kernel_sum(vectors, vectors) - num) / (num * (num - 1))


def _kernel_sum(rows: Float64Array, columns: Float64Array) -> float:
    """Return the kernel's sum over all pairs; a squared distance is 2 - 2 cos."""
    step = max(1, _BLOCK_ENTRIES // len(columns))
    return sum(
        float(np.exp((rows[start : start + step] @ columns.T - 1) / _SIGMA**2).sum())
        for start in range(0, len(rows), step)
    )
