"""Blends a crop into an image through a soft ellipse."""

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array


def paste(
    canvas: UInt8Array,
    crop: UInt8Array,
    corner: npt.NDArray[np.int64],
    inner: FloatArray,
    *,
    feather: float,
) -> None:
    """Paste a crop onto the canvas, in place; what lies outside of it is cut.

    Args:
        canvas: `(H, W, 3)`, changed.
        crop: `(h, w, 3)`, the object and a border around it.
        corner: Where the crop's top left pixel goes, (x, y); may be negative.
        inner: `(4,)` xyxy, the object's box within the crop.
        feather: Width of the soft border, as a fraction of half the box.
    """
    left, top = (int(value) for value in corner)
    x1, y1 = max(left, 0), max(top, 0)
    x2 = min(left + crop.shape[1], canvas.shape[1])
    y2 = min(top + crop.shape[0], canvas.shape[0])
    inside = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    alpha = _soft_ellipse(crop.shape[0], crop.shape[1], inner, feather=feather)[inside][..., None]
    under = canvas[y1:y2, x1:x2].astype(np.float32)
    mixed = alpha * crop[inside] + (1 - alpha) * under
    canvas[y1:y2, x1:x2] = np.rint(mixed).astype(np.uint8)


def _soft_ellipse(
    height: int, width: int, inner: FloatArray, *, feather: float
) -> npt.NDArray[np.float32]:
    """Return `(height, width)` opacity: 1 in the box's ellipse, falling to 0 over the border."""
    x1, y1, x2, y2 = inner.tolist()
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.hypot((x - (x1 + x2) / 2) / ((x2 - x1) / 2), (y - (y1 + y2) / 2) / ((y2 - y1) / 2))
    alpha = np.clip((1 + feather - radius) / max(feather, 1e-6), 0, 1)
    return alpha.astype(np.float32)
