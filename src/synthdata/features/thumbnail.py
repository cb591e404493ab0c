"""Thumbnails as features: what of an image survives noise, blur, re-encoding and a small shift.

Networks trained on photographs see noise as content: EfficientNet puts a noisy copy of a train
image further away than any other photograph, and takes it for new. A grey thumbnail of even
brightness and contrast doesn't, as perceptual hashes don't (see docs/adr).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array

_SIDE: Final = 16
# Below this deviation, in grey values, an image is one colour: what is left is rounding.
_FLAT: Final = 0.5


class Thumbnail:
    """Grey values of a 16 by 16 thumbnail, less their mean, over their deviation."""

    name: Final = "thumbnail"
    dim: Final = _SIDE * _SIDE
    weights_sha256: Final = ""

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        """Return `(N, 256)` vectors of N `(S, S, 3)` uint8 RGB images of one size."""
        vectors = [_standardised(_shrunk(image)) for image in images]
        return np.stack([np.zeros(self.dim, np.float32), *vectors])[1:]


def _shrunk(image: UInt8Array) -> FloatArray:
    grey = Image.fromarray(np.ascontiguousarray(image)).convert("L")
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()


def _standardised(values: FloatArray) -> FloatArray:
    centred = values - values.mean()
    result: FloatArray = centred / max(float(centred.std()), _FLAT)
    return result
