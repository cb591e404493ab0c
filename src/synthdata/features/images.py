"""Features of whole images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.features.base import ImageEncoder
from synthdata.features.crops import CropSettings, square_crops
from synthdata.samples import DetectionDataset, UInt8Array

_AT_ONCE: Final = 256  # images in memory


def image_features(
    dataset: DetectionDataset, *, encoder: ImageEncoder, size: int, mirrored: bool = False
) -> FloatArray:
    """Return a vector an image, or four with its mirror images.

    Args:
        dataset: N images.
        encoder: What turns pixels into vectors.
        size: Pixels that the longer side is resized to; the shorter is padded to it with the
            outermost pixels.
        mirrored: Whether flips left to right, upside down and both are encoded too.

    Returns:
        `(N, D)`, or `(4 N, D)` where mirrored.
    """
    parts = [
        encoder.encode(
            [
                flipped
                for sample in dataset.samples[start : start + _AT_ONCE]
                for flipped in _flips(_squared(dataset.image_path(sample), size), mirrored)
            ]
        )
        for start in range(0, max(len(dataset), 1), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _squared(path: Path, size: int) -> UInt8Array:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    whole = np.array([[0, 0, width, height]], np.float32)
    return square_crops(pixels, whole, CropSettings(size=size, margin=0))[0]


def _flips(image: UInt8Array, mirrored: bool) -> Iterator[UInt8Array]:
    yield image
    if mirrored:
        yield image[:, ::-1]
        yield image[::-1]
        yield image[::-1, ::-1]
