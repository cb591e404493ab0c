"""What an image encoder is. CLIP, Inception and DINOv2 fit behind the same Protocol."""

from collections.abc import Sequence
from typing import Protocol

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array


class ImageEncoder(Protocol):
    """Turns images into vectors; an image's vector doesn't depend on the others."""

    @property
    def name(self) -> str:
        """What it is called in configs and metrics."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def weights_sha256(self) -> str:
        """Digest of its weights file; empty where it has none."""

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        """Return `(N, dim)` vectors of N `(S, S, 3)` uint8 RGB images of one size."""
