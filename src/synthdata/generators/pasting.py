"""Blends a crop into an image through a soft mask."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array


def soft_mask(
    size_hw: tuple[int, int], inner: FloatArray, *, shape: Literal["ellipse", "box"], feather: float
) -> FloatArray:
    """Return a crop's opacity: 1 on the object, falling to 0 over a border around it.

    Args:
        size_hw: (height, width) of the crop, pixels.
        inner: `(4,)` xyxy, the object's box within the crop.
        shape: The ellipse inside the box, or the box.
        feather: Width of the border, as a fraction of half the box.

    Returns:
        `size_hw` values in [0, 1].
    """
    x1, y1, x2, y2 = inner.tolist()
    y, x = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    across = (x - (x1 + x2) / 2) / ((x2 - x1) / 2)
    down = (y - (y1 + y2) / 2) / ((y2 - y1) / 2)
    radius = np.hypot(across, down) if shape == "ellipse" else np.maximum(abs(across), abs(down))
    alpha: FloatArray = np.clip((1 + feather - radius) / max(feather, 1e-6), 0, 1).astype(
        np.float32
    )
    return alpha


def paste(
    canvas: UInt8Array, crop: UInt8Array, corner: npt.NDArray[np.int64], alpha: FloatArray
) -> None:
    """Paste a crop onto the canvas, in place; what lies outside of it is cut.

    Args:
        canvas: `(H, W, 3)`, changed.
        crop: `(h, w, 3)`.
        corner: Where the crop's top left pixel goes, (x, y); may be negative.
        alpha: `(h, w)` the crop's opacity.
    """
    left, top = (int(value) for value in corner)
    x1, y1 = max(left, 0), max(top, 0)
    x2 = min(left + crop.shape[1], canvas.shape[1])
    y2 = min(top + crop.shape[0], canvas.shape[0])
    inside = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    weight = alpha[inside][..., None]
    mixed = weight * crop[inside] + (1 - weight) * canvas[y1:y2, x1:x2].astype(np.float32)
    canvas[y1:y2, x1:x2] = np.rint(mixed).astype(np.uint8)
