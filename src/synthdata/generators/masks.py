"""Which pixels of a crop belong to its object, and how softly that ends."""

from typing import Literal

import numpy as np
from scipy import ndimage

from synthdata.boxes import FloatArray
from synthdata.layout.geometry import BoolArray


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


def soften(mask: BoolArray, inner: FloatArray, *, feather: float) -> FloatArray:
    """Return the opacity of a mask of any shape: 1 on it, falling to 0 over a border around it.

    Args:
        mask: `(h, w)` of the crop.
        inner: `(4,)` xyxy, the object's box within the crop.
        feather: Width of the border, as a fraction of half the box's smaller side.

    Returns:
        `(h, w)` values in [0, 1]; 0 everywhere for an empty mask.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    width = feather * float((inner[2:] - inner[:2]).min()) / 2
    # From pixel centre to pixel centre: the border's first pixel lies half a pixel away.
    distance = np.maximum(ndimage.distance_transform_edt(~mask) - 0.5, 0)
    alpha: FloatArray = np.clip(1 - distance / max(width, 1e-6), 0, 1).astype(np.float32)
    return alpha
