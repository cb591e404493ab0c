"""Grain: what an autoencoder leaves out of photographs, put back as noise of the same kind.

A decoder that is trained for the smallest error gives the mean of the images that a latent may
stand for, smoother than any of them; a draw from them has the scatter around that mean too. It is
taken to be Gaussian: as strong, as much shared between the channels and as coarse as what is left
of train images when their reconstruction is subtracted.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

from synthdata.boxes import FloatArray
from synthdata.config.base import Section
from synthdata.samples import UInt8Array

# Neighbouring pixels that are less alike than this are taken to be independent.
_WHITE: Final = 0.02
_BLOCK: Final = 8  # pixels


class Grain(Section):
    """Gaussian noise with zero mean.

    Attributes:
        covariance: `(3, 3)` of red, green and blue, in squared grey levels.
        blur_px: Standard deviation of the Gaussian that white noise is blurred with.
    """

    covariance: tuple[tuple[float, float, float], ...]
    blur_px: float


def measure_grain(residuals: Iterable[FloatArray]) -> Grain:
    """Return the grain of `(H, W, 3)` differences, real less reconstructed.

    Of all blocks of 8 by 8 pixels, the middle half by strength is measured: where an edge or a
    small object got lost, the difference isn't noise. The blur follows from how alike pixels side
    by side are: white noise under a Gaussian of deviation s has the correlation
    `exp(-d^2 / 4 s^2)` at the distance d.
    """
    blocks = np.concatenate([_blocks(one.astype(np.float64)) for one in residuals])
    strength = np.square(blocks).mean(axis=(1, 2, 3))
    low, high = np.quantile(strength, [0.25, 0.75])
    typical = blocks[(strength >= low) & (strength <= high)]
    flat = typical.reshape(-1, 3)
    covariance = flat.T @ flat / len(flat)
    power = np.square(typical).mean()
    alike = [
        (typical[:, 1:] * typical[:, :-1]).mean(),
        (typical[:, :, 1:] * typical[:, :, :-1]).mean(),
    ]
    correlation = float(np.mean(alike) / power) if power else 0.0
    blur = np.sqrt(-1 / (4 * np.log(correlation))) if _WHITE < correlation < 1 else 0.0
    rows = [tuple(round(float(value), 4) for value in row) for row in covariance]
    return Grain.model_validate({"covariance": rows, "blur_px": round(float(blur), 4)})


def _blocks(residual: FloatArray) -> FloatArray:
    """Return `(N, B, B, 3)` blocks of an image, what is left over at its ends cut off."""
    side = min(_BLOCK, *residual.shape[:2])
    rows, columns = (length // side for length in residual.shape[:2])
    cut = residual[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)


def add_grain(image: UInt8Array, grain: Grain, *, seed: int) -> UInt8Array:
    """Return a `(H, W, 3)` RGB image with grain that depends on the seed only."""
    white = np.random.default_rng(seed).standard_normal(image.shape)
    blurred = gaussian_filter(white, (grain.blur_px, grain.blur_px, 0), mode="wrap")
    values, vectors = np.linalg.eigh(np.array(grain.covariance))
    root = vectors * np.sqrt(np.maximum(values, 0))
    noise = blurred / blurred.std() @ root.T
    pixels: UInt8Array = np.rint(np.clip(image + noise, 0, 255)).astype(np.uint8)
    return pixels
