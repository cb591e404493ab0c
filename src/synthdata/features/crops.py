"""Square crops around boxes."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array


@dataclass(frozen=True)
class CropSettings:
    """How a box becomes a crop.

    Attributes:
        size: Pixels of the crop's side, after resizing.
        margin: Context on each side of the box, as a fraction of its longer side.
    """

    size: int
    margin: float


def square_crops(image: UInt8Array, xyxy: FloatArray, settings: CropSettings) -> list[UInt8Array]:
    """Return a square crop around each box, its shape kept.

    Args:
        image: `(H, W, 3)` uint8 RGB; outside of it its outermost pixels are repeated.
        xyxy: `(N, 4)` pixels.
        settings: Size and margin.

    Returns:
        N arrays `(size, size, 3)` uint8.
    """
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    longer = np.maximum((xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=0), 1)
    half = longer[:, None] * (0.5 + settings.margin)
    squares = np.hstack([centre - half, centre + half])
    beyond = max(0.0, -squares.min(initial=0), *_excess(squares, image))
    pad = int(np.ceil(beyond))
    padded = Image.fromarray(np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    size = (settings.size, settings.size)
    return [
        np.asarray(padded.resize(size, Image.Resampling.BICUBIC, box=tuple(square + pad)))
        for square in squares
    ]


def _excess(squares: FloatArray, image: UInt8Array) -> tuple[float, float]:
    height, width = image.shape[:2]
    right = float(squares[:, 2].max(initial=0) - width)
    bottom = float(squares[:, 3].max(initial=0) - height)
    return right, bottom
