"""Reads the real images that some generators start from."""

import threading
from pathlib import Path
from typing import Final

import numpy as np
from cachetools import LRUCache, cached
from PIL import Image

from synthdata.samples import UInt8Array

_CACHE_BYTES: Final = 2**28


def read_pixels(path: Path) -> UInt8Array:
    """Return an image as `(H, W, 3)` uint8 RGB; it is cached, so copy it before a change."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


# Time and size, since another stage `prepare` puts other images in the same place. The lock,
# since generators that work side by side share the cache, and its order breaks without one.
@cached(LRUCache(_CACHE_BYTES, getsizeof=lambda pixels: pixels.nbytes), lock=threading.Lock())
def _read(path: Path, _mtime_ns: int, _size: int) -> UInt8Array:
    with Image.open(path) as image:
        pixels: UInt8Array = np.asarray(image.convert("RGB"))
    return pixels
