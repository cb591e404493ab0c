"""Which pixels of a real image are painted over, and how opaquely.

`(H, W)` float32 in [0, 1]: 0 keeps the real pixel exactly, 1 takes the painted one, what lies
between blends the two. A pixel belongs to a box if its centre does.
"""

from typing import Final, Literal

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.generators.masks import soft_mask
from synthdata.samples import UInt8Array

Shape = Literal["ellipse", "box"]
# Boxes without an area would have no border to measure a softness by.
_MIN_HALF_PX: Final = 0.5


def object_opacity(
    new: FloatArray,
    kept: FloatArray,
    *,
    size_hw: tuple[int, int],
    margin: float,
    feather: float,
    shape: Shape = "box",
) -> FloatArray:
    """Return 1 on new boxes and their margins, 0 elsewhere and on the boxes to keep.

    Only where a new object itself overlaps a kept box is that painted over.

    Args:
        new: `(N, 4)` xyxy of the objects to paint.
        kept: `(M, 4)` xyxy of the real ones.
        size_hw: (height, width) of the image, pixels.
        margin: How far 1 reaches beyond a box on each side, as a fraction of its size.
        feather: Width of the soft border beyond that, as a fraction of half the grown box.
        shape: What of a new box is painted.
    """
    opacity = cover(new, size_hw=size_hw, margin=margin, feather=feather, shape=shape)
    inside_new = cover(new, size_hw=size_hw, shape=shape)
    inside_kept = cover(kept, size_hw=size_hw)
    return np.where((inside_kept > 0) & (inside_new == 0), np.float32(0), opacity)


def background_opacity(
    kept: FloatArray,
    *,
    size_hw: tuple[int, int],
    margin: float,
    feather: float,
    shape: Shape = "box",
) -> FloatArray:
    """Return 0 on the boxes to keep and their margins, 1 far from them.

    Args:
        kept: `(N, 4)` xyxy of the real objects.
        size_hw: (height, width) of the image, pixels.
        margin: How far 0 reaches beyond a box on each side, as a fraction of its size.
        feather: Width of the soft border beyond that, as a fraction of half the grown box.
        shape: What of a box is kept.
    """
    opacity: FloatArray = 1 - cover(
        kept, size_hw=size_hw, margin=margin, feather=feather, shape=shape
    )
    return opacity


def cover(
    xyxy: FloatArray,
    shares: FloatArray | None = None,
    *,
    size_hw: tuple[int, int],
    margin: float = 0.0,
    feather: float = 0.0,
    shape: Shape = "box",
) -> FloatArray:
    """Return how far each pixel belongs to one of the boxes.

    Args:
        xyxy: `(N, 4)`.
        shares: `(N,)` in [0, 1], what counts as wholly belonging to each; None takes 1 for all.
        size_hw: (height, width) of the image, pixels.
        margin: How far a box is grown on each side, as a fraction of its size.
        feather: Width of the soft border beyond that, as a fraction of half the grown box.
        shape: The ellipse inside the grown box, or the box.
    """
    covered = np.zeros(size_hw, np.float32)
    centre = (xyxy[:, 2:] + xyxy[:, :2]) / 2
    half = np.maximum((xyxy[:, 2:] - xyxy[:, :2]) * (0.5 + margin), _MIN_HALF_PX)
    grown = np.hstack([centre - half, centre + half])
    for box, share in zip(grown, np.ones(len(xyxy)) if shares is None else shares, strict=True):
        mask = soft_mask(size_hw, box, shape=shape, feather=feather)
        np.maximum(covered, mask * np.float32(share), out=covered)
    return covered


def blend(real: UInt8Array, painted: UInt8Array, opacity: FloatArray) -> UInt8Array:
    """Return the painted image over the real one, `(H, W, 3)` uint8."""
    weight = opacity[..., None]
    mixed = weight * painted + (1 - weight) * real.astype(np.float32)
    pixels: UInt8Array = np.rint(mixed).astype(np.uint8)
    return pixels
