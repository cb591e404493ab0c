"""Files for broken data sets, and what tests compare."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from synthdata.formats.coco import save_coco
from synthdata.formats.voc import save_voc
from synthdata.formats.yolo import save_yolo

SIZE = (64, 48)
SAVERS = {"yolo": save_yolo, "coco": save_coco, "voc": save_voc}
MakeFolder = Callable[[str], Path]


def write_blobs(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    """Write an image of coarse coloured patches, unlike that of any other seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)


def write_png_header(path: Path, width: int, height: int) -> None:
    """Write the first bytes of a PNG of that size, and hardly a pixel."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    data = struct.pack(">I", 1 << 16) + b"IDAT"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + data)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
