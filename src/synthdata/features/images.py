"""Features of whole images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.features.base import ImageEncoder
from synthdata.features.cache import FeatureCache
from synthdata.features.crops import CropSettings, square_crops
from synthdata.files import sha256_file
from synthdata.samples import DetectionDataset, Sample, UInt8Array

_AT_ONCE: Final = 256  # images in memory, and between two writes to the cache


def image_features(
    dataset: DetectionDataset,
    *,
    encoder: ImageEncoder,
    size: int,
    cache_dir: Path,
    mirrored: bool = False,
) -> FloatArray:
    """Return a vector an image, or four with its mirror images.

    Args:
        dataset: N images.
        encoder: What turns pixels into vectors.
        size: Pixels that the longer side is resized to; the shorter is padded to it with the
            outermost pixels.
        cache_dir: Has the features of images that aren't to be encoded again, and gets the others.
        mirrored: Whether flips left to right, upside down and both are encoded too.

    Returns:
        `(N, D)`, or `(4 N, D)` where mirrored.
    """
    cache = FeatureCache(cache_dir, encoder, CropSettings(size, margin=0))
    parts = [np.zeros((0, encoder.dim), np.float32)]
    for start in range(0, len(dataset), _AT_ONCE):
        samples = dataset.samples[start : start + _AT_ONCE]
        keys = [
            (one.sha256 or sha256_file(dataset.image_path(one)), _flipped_boxes(one, mirrored))
            for one in samples
        ]
        found = [cache.load(*key) for key in keys]
        waiting = [i for i, features in enumerate(found) if features is None]
        encoded = encoder.encode(
            [
                flipped
                for i in waiting
                for flipped in _flips(_squared(dataset.image_path(samples[i]), size), mirrored)
            ]
        )
        for i, features in zip(waiting, np.split(encoded, max(1, len(waiting))), strict=False):
            cache.store(*keys[i], features)
            found[i] = features
        parts += [features for features in found if features is not None]
    return np.concatenate(parts)


def _flipped_boxes(sample: Sample, mirrored: bool) -> FloatArray:
    """Return what the cache finds an image by: the whole of it, corners changed over by flips."""
    width, height = sample.width, sample.height
    left_right = [width, 0, 0, height]
    whole, upside_down, both = [0, 0, width, height], [0, height, width, 0], [width, height, 0, 0]
    boxes = [whole, left_right, upside_down, both] if mirrored else [whole]
    return np.array(boxes, np.float32)


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
