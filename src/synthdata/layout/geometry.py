"""How boxes lie to each other and to the canvas: `(N, 4)` xyxy arrays, in pixels."""

from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray, area

BoolArray = npt.NDArray[np.bool_]

# A box that ends within this share of the canvas from its border is cut by it: annotators
# leave a pixel or two.
_EDGE_TOLERANCE: Final = 0.01


def overlap_matrix(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Return each pair's intersection over the area of the smaller box.

    Unlike the IoU, a small box inside a large one counts 1.

    Args:
        boxes_a: `(N, 4)`.
        boxes_b: `(M, 4)`.

    Returns:
        `(N, M)` values in [0, 1]; 0 where the smaller box is empty.
    """
    intersection = _intersection_matrix(boxes_a, boxes_b)
    smaller = np.minimum(area(boxes_a)[:, None], area(boxes_b)[None, :])
    overlap: FloatArray = np.divide(
        intersection, smaller, out=np.zeros_like(intersection), where=smaller > 0
    )
    return overlap


def covered_share(boxes: FloatArray) -> FloatArray:
    """Return the largest share of each box that a single other one covers, `(N,)` in [0, 1]."""
    shared = _intersection_matrix(boxes, boxes)
    np.fill_diagonal(shared, 0)
    share: FloatArray = shared.max(axis=1, initial=0) / np.maximum(area(boxes), 1e-9)
    return share


def _intersection_matrix(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    size = np.clip(bottom_right - top_left, 0, None)
    product: FloatArray = size[..., 0] * size[..., 1]
    return product


def separation_matrix(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Return how far apart each pair lies, along the axis that separates it best.

    Returns:
        `(N, M)` pixels; negative where the boxes overlap: how deep.
    """
    gap = np.maximum(
        boxes_a[:, None, :2] - boxes_b[None, :, 2:], boxes_b[None, :, :2] - boxes_a[:, None, 2:]
    )
    result: FloatArray = gap.max(axis=-1)
    return result


def nearest_separation(boxes: FloatArray) -> FloatArray:
    """Return each box's separation from the nearest other one, `(N,)`; infinite if alone."""
    separation = separation_matrix(boxes, boxes)
    np.fill_diagonal(separation, np.inf)
    nearest: FloatArray = separation.min(axis=1, initial=np.inf)
    return nearest


def touched_edges(boxes: FloatArray, *, width: int, height: int) -> BoolArray:
    """Return which of the left, top, right and bottom border cuts each box, `(N, 4)`."""
    near_x, near_y = width * _EDGE_TOLERANCE, height * _EDGE_TOLERANCE
    return np.stack(
        [
            boxes[:, 0] <= near_x,
            boxes[:, 1] <= near_y,
            boxes[:, 2] >= width - near_x,
            boxes[:, 3] >= height - near_y,
        ],
        axis=1,
    )
