"""Masks of objects of which only the box is known."""

from typing import Final

import numpy as np
from scipy import ndimage

from synthdata.boxes import FloatArray, iou_matrix
from synthdata.extras import needing_extra
from synthdata.generators.masks import soft_mask
from synthdata.layout.geometry import BoolArray
from synthdata.samples import UInt8Array

_NUM_ITERATIONS: Final = 5
# The part of the ellipse inside the box, by its radius, that is the object for certain.
_CORE: Final = 0.5
# An object that fills less of its box, or more, or whose own box is another, was not found.
_FILLS: Final = (0.2, 0.98)
_MIN_BOX_IOU: Final = 0.5


def grabcut_mask(pixels: UInt8Array, box: FloatArray, others: FloatArray) -> BoolArray | None:
    """Return which pixels in a box are its object, by GrabCut (Rother et al. 2004).

    Pasting with masks made from boxes is after Dvornik et al. 2018 ("Modeling Visual Context Is
    Key to Augmenting Object Detection Datasets"). GrabCut starts from the ellipse inside the
    box; that one's core is the object for certain, and what lies outside the box is background.
    Other objects there are painted over with the background's median colour, since those that
    look alike would teach that this one is background. Of what GrabCut finds, the largest
    connected part counts, without its holes.

    Args:
        pixels: `(h, w, 3)` uint8 RGB, the box and its surroundings.
        box: `(4,)` xyxy, the object's box in `pixels`.
        others: `(N, 4)` xyxy, the other objects' boxes in `pixels`, which may reach out of it.

    Returns:
        `(h, w)`, False outside the box; None where GrabCut degenerates: the box leaves no
        background, or the mask is almost nothing or everything of the box, or spans another box.

    Raises:
        ConfigError: If OpenCV is missing.
    """
    with needing_extra("paste", "mask: grabcut"):
        import cv2

    size_hw = pixels.shape[0], pixels.shape[1]
    inside = _inside(size_hw, box)
    free = ~inside & ~_union(size_hw, others)
    if not inside.any() or not free.any():
        return None
    seen = pixels.copy()
    seen[~inside & ~free] = np.median(pixels[free], axis=0)
    labels = np.full(size_hw, cv2.GC_BGD, np.uint8)
    labels[inside] = cv2.GC_PR_BGD
    labels[inside & _ellipse(size_hw, box, radius=1)] = cv2.GC_PR_FGD
    labels[inside & _ellipse(size_hw, box, radius=_CORE)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its first clusters are random
    background, foreground = np.zeros((2, 1, 65))  # their models, which nobody reads
    mode = cv2.GC_INIT_WITH_MASK
    cv2.grabCut(seen, labels, None, background, foreground, _NUM_ITERATIONS, mode)
    return _plausible(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), inside, box)


def _ellipse(size_hw: tuple[int, int], box: FloatArray, *, radius: float) -> BoolArray:
    """Return the pixels in the ellipse inside the box, its radius as a fraction."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * np.float32(radius)
    shrunk: FloatArray = np.concatenate([centre - half, centre + half])
    inside: BoolArray = soft_mask(size_hw, shrunk, shape="ellipse", feather=0) > 0
    return inside


def _inside(size_hw: tuple[int, int], box: FloatArray) -> BoolArray:
    """Return the pixels whose centres lie in the box."""
    y, x = np.ogrid[: size_hw[0], : size_hw[1]]
    inside: BoolArray = (
        (x + 0.5 >= box[0]) & (x + 0.5 <= box[2]) & (y + 0.5 >= box[1]) & (y + 0.5 <= box[3])
    )
    return inside


def _union(size_hw: tuple[int, int], boxes: FloatArray) -> BoolArray:
    union = np.zeros(size_hw, np.bool_)
    for box in boxes:
        union |= _inside(size_hw, box)
    return union


def _plausible(found: BoolArray, inside: BoolArray, box: FloatArray) -> BoolArray | None:
    parts, num_parts = ndimage.label(found)
    if num_parts == 0:
        return None
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    mask: BoolArray = ndimage.binary_fill_holes(parts == largest) & inside
    y, x = np.nonzero(mask)
    spanned = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    fills = mask.sum() / inside.sum()
    if not _FILLS[0] <= fills <= _FILLS[1] or iou_matrix(spanned, box[None]) < _MIN_BOX_IOU:
        return None
    return mask
