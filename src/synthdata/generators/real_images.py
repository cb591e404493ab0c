"""Reads the real images that some generators start from."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from synthdata.samples import UInt8Array


@lru_cache(maxsize=256)
def read_pixels(path: Path) -> UInt8Array:
    """Return an image as `(H, W, 3)` uint8 RGB; it is cached, so copy it before a change."""
    with Image.open(path) as image:
        pixels: UInt8Array = np.asarray(image.convert("RGB"))
    return pixels
