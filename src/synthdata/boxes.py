"""Pure functions on boxes: `(N, 4)` float32 arrays, xyxy, in pixels unless said otherwise.

x grows to the right and y downwards; the right and bottom edges are exclusive, so a box
over the whole image is `(0, 0, width, height)`.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def as_xyxy(boxes: npt.ArrayLike) -> FloatArray:
    """Return `boxes` as an `(N, 4)` float32 array; an empty list gives `(0, 4)`.

    Raises:
        ValueError: If the values don't form rows of four.
    """
    array = np.asarray(boxes, dtype=np.float32)
    if array.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4), got {array.shape}")
    return array


def area(xyxy: FloatArray) -> FloatArray:
    """Return the `(N,)` areas in square pixels; inverted boxes count 0."""
    size = np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None)
    product: FloatArray = size[:, 0] * size[:, 1]
    return product


def iou_matrix(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Return the intersection over union of each pair.

    Args:
        boxes_a: `(N, 4)` xyxy.
        boxes_b: `(M, 4)` xyxy.

    Returns:
        `(N, M)` values in [0, 1]; 0 where both boxes are empty.
    """
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    size = np.clip(bottom_right - top_left, 0, None)
    intersection = size[..., 0] * size[..., 1]
    union = area(boxes_a)[:, None] + area(boxes_b)[None, :] - intersection
    zeros = np.zeros_like(intersection)
    iou: FloatArray = np.divide(intersection, union, out=zeros, where=union > 0)
    return iou


def clip(xyxy: FloatArray, *, width: int, height: int) -> FloatArray:
    """Return the boxes cut to an image of `width` by `height` pixels."""
    limit = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(xyxy, 0, limit)


def scale(xyxy: FloatArray, *, factor_x: float, factor_y: float) -> FloatArray:
    """Return the boxes after the image was resized by the two factors."""
    return xyxy * np.array([factor_x, factor_y, factor_x, factor_y], dtype=np.float32)


def xyxy_to_cxcywh(xyxy: FloatArray, *, width: int, height: int) -> FloatArray:
    """Return YOLO's form: centre and size, each as a fraction of the image, in [0, 1]."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    size = xyxy[:, 2:] - xyxy[:, :2]
    canvas = np.array([width, height, width, height], dtype=np.float32)
    return (np.hstack([centre, size]) / canvas).astype(np.float32)


def cxcywh_to_xyxy(cxcywh: FloatArray, *, width: int, height: int) -> FloatArray:
    """Return pixels from YOLO's normalised centre and size."""
    half = cxcywh[:, 2:] / 2
    corners = as_xyxy(np.hstack([cxcywh[:, :2] - half, cxcywh[:, :2] + half]))
    return scale(corners, factor_x=width, factor_y=height)


def xyxy_to_xywh(xyxy: FloatArray) -> FloatArray:
    """Return COCO's form: top left corner, width and height, in pixels."""
    return np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]])


def xywh_to_xyxy(xywh: FloatArray) -> FloatArray:
    """Return corners from COCO's top left corner, width and height."""
    return np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
