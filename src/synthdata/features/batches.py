"""Images through a network, such that a vector doesn't depend on the others."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array

# Few, since an image brings few crops and the rest of a batch is computed for nothing.
_BATCH_SIZE: Final = 8


def encode_in_batches(
    images: Sequence[UInt8Array], forward: Callable[[UInt8Array], torch.Tensor], *, dim: int
) -> FloatArray:
    """Return `(N, dim)` float32 vectors of N images of one size.

    Every batch has as many images, the last one padded: sums then run in the same order for an
    image, whatever else is encoded with it.

    Args:
        images: `(H, W, 3)` uint8 RGB each.
        forward: Gives `(B, dim)` for `(B, H, W, 3)`.
        dim: Length of a vector.
    """
    parts = [np.zeros((0, dim), np.float32)]
    for start in range(0, len(images), _BATCH_SIZE):
        chunk = np.stack(images[start : start + _BATCH_SIZE])
        batch = np.zeros((_BATCH_SIZE, *chunk.shape[1:]), dtype=np.uint8)
        batch[: len(chunk)] = chunk
        with torch.inference_mode():
            parts.append(forward(batch).float().cpu().numpy()[: len(chunk)])
    return np.concatenate(parts)
