"""Pastes a crop into an image so that its border shows more or less."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import splu

from synthdata.boxes import FloatArray
from synthdata.layout.geometry import BoolArray
from synthdata.samples import UInt8Array

_FloatImage = npt.NDArray[np.float64]
# A pixel's neighbour to the right, and below: where the pair's first lies, and its second.
_PAIRS: Final = (
    ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
)


def window(
    canvas_hw: tuple[int, ...], crop_hw: tuple[int, ...], corner: npt.NDArray[np.int64]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a crop lies on the canvas, and which part of the crop that is.

    Args:
        canvas_hw: (height, width), pixels.
        crop_hw: (height, width), pixels.
        corner: Where the crop's top left pixel goes, (x, y); may be negative.

    Returns:
        Rows and columns of the canvas, and of the crop; what lies outside the canvas is cut.
    """
    left, top = (int(value) for value in corner)
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + crop_hw[1], canvas_hw[1]), min(top + crop_hw[0], canvas_hw[0])
    return (
        (slice(y1, y2), slice(x1, x2)),
        (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)),
    )


def paste(
    canvas: UInt8Array, crop: UInt8Array, corner: npt.NDArray[np.int64], alpha: FloatArray
) -> None:
    """Paste a crop onto the canvas, in place; what lies outside of it is cut.

    Args:
        canvas: `(H, W, 3)`, changed.
        crop: `(h, w, 3)`.
        corner: Where the crop's top left pixel goes, (x, y); may be negative.
        alpha: `(h, w)` the crop's opacity.
    """
    there, inside = window(canvas.shape, crop.shape, corner)
    weight = alpha[inside][..., None]
    mixed = weight * crop[inside] + (1 - weight) * canvas[there].astype(np.float32)
    canvas[there] = np.rint(mixed).astype(np.uint8)


def paste_poisson(
    canvas: UInt8Array, crop: UInt8Array, corner: npt.NDArray[np.int64], mask: BoolArray
) -> None:
    """Paste a crop's gradients onto the canvas, in place, with the canvas's colours around them.

    Seamless cloning (Pérez et al. 2003, "Poisson Image Editing", section 3): inside the mask
    the crop's gradients, at its border the canvas's colours, outside of it no change. The
    canvas's own border holds no colour. Not OpenCV's `seamlessClone`, which shrinks the mask by
    3 pixels a side, so that a small object disappears, and changes pixels outside of it.

    Args:
        canvas: `(H, W, 3)`, changed.
        crop: `(h, w, 3)`.
        corner: Where the crop's top left pixel goes, (x, y); may be negative.
        mask: `(h, w)` which of the crop's pixels are pasted: the object and a border of its
            surroundings, which takes the difference in colour.
    """
    # A ring of pixels for the border's colours to lie on.
    crop = np.pad(crop, ((1, 1), (1, 1), (0, 0)), mode="edge")
    there, inside = window(canvas.shape, crop.shape, corner - 1)
    target, chosen = canvas[there].astype(np.float64), np.pad(mask, 1)[inside]
    offset = target - crop[inside]
    if chosen.all():
        offset[:] = 0  # no border, no colours to take
    elif chosen.any():
        offset[chosen] = _harmonic(offset, chosen)
    pasted = np.rint(np.clip(crop[inside] + offset, 0, 255)).astype(np.uint8)
    canvas[there] = np.where(chosen[..., None], pasted, canvas[there])


def _harmonic(values: _FloatImage, inside: BoolArray) -> _FloatImage:
    """Return the smoothest continuation into a region of the values around it.

    Args:
        values: `(h, w, channels)`; those inside are not read.
        inside: `(h, w)`, some True and some False.

    Returns:
        `(pixels inside, channels)`: each is the mean of its neighbours in the image.
    """
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    degree = np.zeros(inside.shape)
    around = np.zeros(values.shape)
    rows, columns = [], []
    for first, second in _PAIRS:
        for a, b in ((first, second), (second, first)):
            degree[a] += 1
            around[a] += np.where(inside[b][..., None], 0, values[b])
            both = inside[a] & inside[b]
            rows.append(number[a][both])
            columns.append(number[b][both])
    row, column = np.concatenate(rows), np.concatenate(columns)
    size = len(degree[inside])
    links = sparse.coo_array((np.ones(len(row)), (row, column)), shape=(size, size))
    laplacian = sparse.diags_array(degree[inside]) - links
    result: _FloatImage = splu(laplacian.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(around[inside])
    return result
