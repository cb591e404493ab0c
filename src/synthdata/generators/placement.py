"""Finds room for new objects beside those that an image has."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata import boxes
from synthdata.boxes import FloatArray
from synthdata.layout.geometry import overlap_matrix, touched_edges
from synthdata.samples import Annotations, Layout

_NUM_POSITIONS: Final = 100


def find_room(
    inner: FloatArray,
    xyxy: FloatArray,
    size_hw: tuple[int, ...],
    *,
    max_overlap: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64] | None:
    """Return a place for a crop such that its object is whole and hardly covers others.

    Args:
        inner: `(4,)` xyxy, the object's box within the crop.
        xyxy: `(N, 4)` boxes that the image has.
        size_hw: (height, width) of the image, pixels.
        max_overlap: The object and another share at most this part of the smaller box.
        rng: Draws the place.

    Returns:
        Where the crop's top left corner goes, (x, y); None if no drawn place has room.
    """
    low = np.ceil(-inner[:2]).astype(np.int64)
    high = np.floor([size_hw[1], size_hw[0]] - inner[2:]).astype(np.int64)
    if (high < low).any():
        return None
    corners = rng.integers(low, high + 1, (_NUM_POSITIONS, 2))
    placed = inner + np.tile(corners, 2).astype(np.float32)
    has_room = (overlap_matrix(placed, xyxy) <= max_overlap).all(axis=1)
    return corners[int(has_room.argmax())] if has_room.any() else None


def place_objects(
    layout: Layout,
    onto: Layout,
    *,
    num_objects: int,
    max_overlap: float,
    rng: np.random.Generator,
) -> Annotations:
    """Return new boxes, of a layout's classes and sizes, where another layout has room.

    Objects that a border cuts are taken only where the layout has no others: whole ones of
    their size and shape don't exist.

    Args:
        layout: Its objects give class and size, each at most once; their places aren't used.
        onto: What is there already; a layout on another canvas is scaled to its size.
        num_objects: How many are wanted.
        max_overlap: A new box and any other share at most this part of the smaller one.
        rng: Draws objects and places.

    Returns:
        At most `num_objects` boxes inside the canvas, without those of `onto`.
    """
    objects = layout.annotations
    cut = touched_edges(objects.xyxy, width=layout.width, height=layout.height).any(axis=1)
    candidates = np.flatnonzero(~cut) if not cut.all() else np.arange(len(objects))
    scaled = boxes.scale(
        objects.xyxy, factor_x=onto.width / layout.width, factor_y=onto.height / layout.height
    )
    wanted = (
        (scaled[index, 2:] - scaled[index, :2], int(objects.class_id[index]))
        for index in rng.permutation(candidates)
    )
    return place_in_turn(wanted, onto, num_objects=num_objects, max_overlap=max_overlap, rng=rng)


def place_in_turn(
    objects: Iterable[tuple[FloatArray, int]],
    onto: Layout,
    *,
    num_objects: int,
    max_overlap: float,
    rng: np.random.Generator,
) -> Annotations:
    """Return boxes of objects that come one after the other, where a layout has room.

    Args:
        objects: Each one's `(2,)` width and height in pixels, and its class; no more are taken
            than are needed.
        onto: What is there already.
        num_objects: How many are wanted.
        max_overlap: A new box and any other share at most this part of the smaller one.
        rng: Draws places.

    Returns:
        At most `num_objects` boxes inside the canvas, without those of `onto`.
    """
    placed = onto.annotations.xyxy
    class_id: list[int] = []
    for size, one_class in objects:
        if len(class_id) == num_objects:
            break
        inner = np.concatenate([np.zeros(2, np.float32), size])
        corner = find_room(
            inner, placed, (onto.height, onto.width), max_overlap=max_overlap, rng=rng
        )
        if corner is not None:
            placed = np.vstack([placed, inner + np.tile(corner, 2).astype(np.float32)])
            class_id.append(one_class)
    return Annotations(placed[len(onto.annotations) :], np.array(class_id, np.int64))
