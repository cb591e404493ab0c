"""Lays a painted image over the one that it starts from, whose fine detail stays.

An autoencoder blurs, and what is painted may differ in brightness from what is kept, so that the
kept part shows as a patch. Here only the coarse part of the difference is taken: the image's tone
becomes the painted one's, and its grain and edges stay.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthdata.boxes import FloatArray
from synthdata.samples import UInt8Array


@dataclass(frozen=True)
class Detail:
    """Where an image keeps its detail, and what counts as such.

    Attributes:
        where: `(H, W)` in [0, 1]: 1 takes only what is coarse of the painted image, 0 all of it.
        sigma: Standard deviation of the Gaussian that leaves what is coarse, pixels.
    """

    where: FloatArray
    sigma: float


def blend_coarse(
    below: UInt8Array, painted: UInt8Array, opacity: FloatArray, detail: Detail
) -> UInt8Array:
    """Return the painted image over the one below, `(H, W, 3)` uint8.

    The difference is smoothed over what is painted alone (Knutsson & Westin 1993, "Normalized and
    Differential Convolution"), so that what is kept doesn't thin it.

    Args:
        below: `(H, W, 3)`.
        painted: `(H, W, 3)`.
        opacity: `(H, W)` in [0, 1]; where it is 0 the image below stays exactly.
        detail: Where only the coarse difference counts.
    """
    change = painted.astype(np.float32) - below
    weight = opacity[..., None]
    share = np.maximum(_smooth(weight, detail.sigma), 1e-6)
    coarse = _smooth(weight * change, detail.sigma) / share
    taken = change + detail.where[..., None] * (coarse - change)
    pixels: UInt8Array = np.rint(np.clip(below + weight * taken, 0, 255)).astype(np.uint8)
    return pixels


def _smooth(values: FloatArray, sigma: float) -> FloatArray:
    smoothed: FloatArray = ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="nearest")
    return smoothed
