"""Grain: what an autoencoder leaves out of photographs, put back as noise of the same kind.

A decoder that is trained for the smallest error gives the mean of the images that a latent may
stand for, smoother than any of them; a draw from them has the scatter around that mean too. It is
taken to be Gaussian: as much shared between the channels, as coarse and, where an image is as
lively, as strong as what is left of train images when their reconstruction is subtracted. Where
images are lively that is lost detail more than noise; it comes back as noise of its strength.
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
_LEVELS: Final = 8


class Grain(Section):
    """Gaussian noise with zero mean.

    Attributes:
        covariance: `(3, 3)` of red, green and blue, the mean of whose variances is 1, or 0 for no
            grain.
        blur_px: Standard deviation of the Gaussian that white noise is blurred with.
        activity: Levels of what `measure_activity` returns, from low to high.
        strength: Standard deviation in grey levels at these levels.
    """

    covariance: tuple[tuple[float, float, float], ...]
    blur_px: float
    activity: tuple[float, ...]
    strength: tuple[float, ...]


def measure_activity(image: UInt8Array | FloatArray) -> FloatArray:
    """Return how much the brightness of an `(H, W, 3)` image varies around each pixel.

    `(H, W)`: its standard deviation under a Gaussian window of one pixel.
    """
    brightness = image.mean(axis=2, dtype=np.float64)
    mean = gaussian_filter(brightness, 1.0)
    variance = gaussian_filter(np.square(brightness), 1.0) - np.square(mean)
    activity: FloatArray = np.sqrt(np.maximum(variance, 0))
    return activity


def measure_grain(images: Iterable[UInt8Array], residuals: Iterable[FloatArray]) -> Grain:
    """Return the grain of `(H, W, 3)` images: of `residuals`, what reconstruction left of them.

    Blocks of 8 by 8 pixels are measured. Strength is the median of the blocks in each eighth by
    activity, of the reconstruction. Of all blocks the middle half by strength gives the rest:
    where an edge or a small object got lost, the difference isn't like noise. The blur follows from
    how alike pixels side by side are: white noise under a Gaussian of deviation s has the
    correlation `exp(-d^2 / 4 s^2)` at the distance d.
    """
    pairs = list(zip(images, residuals, strict=True))
    activity = np.concatenate([_blocks(measure_activity(a - b)[..., None]) for a, b in pairs])
    blocks = np.concatenate([_blocks(residual.astype(np.float64)) for _, residual in pairs])
    by_activity = activity.mean(axis=(1, 2, 3))
    strength = np.sqrt(np.square(blocks).mean(axis=(1, 2, 3)))
    levels = np.array_split(np.argsort(by_activity), min(_LEVELS, len(blocks)))
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
    return Grain(
        covariance=tuple(_rounded(row / power if power else row) for row in covariance),
        blur_px=round(float(blur), 4),
        activity=_rounded(np.median(by_activity[level]) for level in levels),
        strength=_rounded(np.median(strength[level]) for level in levels),
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _blocks(values: FloatArray) -> FloatArray:
    """Return `(N, B, B, C)` blocks of an image, what is left over at its ends cut off."""
    side = min(_BLOCK, *values.shape[:2])
    rows, columns = (length // side for length in values.shape[:2])
    cut = values[: rows * side, : columns * side]
    return (
        cut.reshape(rows, side, columns, side, -1)
        .swapaxes(1, 2)
        .reshape(-1, side, side, cut.shape[2])
    )


def add_grain(image: UInt8Array, grain: Grain, *, seed: int) -> UInt8Array:
    """Return a `(H, W, 3)` RGB image with its grain; the seed draws it."""
    white = np.random.default_rng(seed).standard_normal(image.shape)
    blurred = gaussian_filter(white, (grain.blur_px, grain.blur_px, 0), mode="wrap")
    values, vectors = np.linalg.eigh(np.array(grain.covariance))
    root = vectors * np.sqrt(np.maximum(values, 0))
    strength = np.interp(measure_activity(image), grain.activity, grain.strength)
    noise = blurred / blurred.std() @ root.T * strength[..., None]
    pixels: UInt8Array = np.rint(np.clip(image + noise, 0, 255)).astype(np.uint8)
    return pixels
