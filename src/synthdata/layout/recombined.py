"""Layouts put together from halves of real ones, flipped and jittered."""

from typing import Final

import numpy as np

from synthdata.boxes import FloatArray, area
from synthdata.boxes import clip as clip_boxes
from synthdata.layout.geometry import overlap_matrix, touched_edges
from synthdata.layout.model import LayoutModel
from synthdata.samples import Annotations

_MIN_SIDE_PX: Final = 2.0


def recombine_layout(
    model: LayoutModel, *, rng: np.random.Generator, jitter: float
) -> tuple[tuple[int, int], Annotations]:
    """Return the canvas (width, height) and the objects of one new layout.

    The left or upper half of one real image is joined to the other half of another; an
    object belongs to the half that its centre is in. Each half may come from the image
    mirrored left to right, and the join from the same image where there is only one. Where
    objects at the seam overlap more than their classes are allowed, the smaller one is left
    out.
    """
    num_images = len(model.canvases)
    first, second = rng.choice(num_images, 2, replace=num_images == 1)
    canvas = model.canvases[first]
    axis = int(rng.integers(2))
    halves = [
        _half(
            _fitted(model, int(index), canvas, mirrored=bool(rng.integers(2))),
            canvas,
            axis=axis,
            end=end,
        )
        for index, end in ((first, False), (second, True))
    ]
    joined = Annotations(
        np.concatenate([half.xyxy for half in halves]),
        np.concatenate([half.class_id for half in halves]),
    )
    jittered = Annotations(_jittered(joined.xyxy, canvas, rng, jitter), joined.class_id)
    return canvas, _without_overlaps(jittered, model.overlap_limit)


def _fitted(
    model: LayoutModel, index: int, canvas: tuple[int, int], *, mirrored: bool
) -> Annotations:
    """Return an image's objects scaled to the canvas, mirrored left to right if asked."""
    own = np.tile(np.array(model.canvases[index], dtype=np.float32), 2)
    annotations = model.annotations[index]
    xyxy = annotations.xyxy / own * np.tile(np.array(canvas, dtype=np.float32), 2)
    if mirrored:
        xyxy = np.stack(
            [canvas[0] - xyxy[:, 2], xyxy[:, 1], canvas[0] - xyxy[:, 0], xyxy[:, 3]], axis=1
        )
    return Annotations(xyxy, annotations.class_id)


def _half(
    annotations: Annotations, canvas: tuple[int, int], *, axis: int, end: bool
) -> Annotations:
    centre = (annotations.xyxy[:, axis] + annotations.xyxy[:, axis + 2]) / 2
    in_second = centre >= canvas[axis] / 2
    return annotations.select(in_second if end else ~in_second)


def _jittered(
    xyxy: FloatArray, canvas: tuple[int, int], rng: np.random.Generator, jitter: float
) -> FloatArray:
    """Return boxes with noise on size and position; a border that cuts a box still does."""
    size = xyxy[:, 2:] - xyxy[:, :2]
    centre = (xyxy[:, 2:] + xyxy[:, :2]) / 2 + rng.normal(0, jitter, size.shape) * size
    size = np.maximum(size * np.exp(rng.normal(0, jitter, (len(size), 1))), _MIN_SIDE_PX)
    moved = np.hstack([centre - size / 2, centre + size / 2]).astype(np.float32)
    width, height = canvas
    # A box that was whole stays whole: it is pushed back in, not cut.
    limit = np.tile(np.array(canvas, dtype=np.float32), 2)
    back = np.maximum(-moved[:, :2], 0) - np.maximum(moved[:, 2:] - limit[:2], 0)
    moved += np.tile(back, 2)
    edges = touched_edges(xyxy, width=width, height=height)
    border = np.array([0, 0, width, height], dtype=np.float32)
    return clip_boxes(np.where(edges, border, moved), width=width, height=height)


def _without_overlaps(annotations: Annotations, limit: FloatArray) -> Annotations:
    kept: list[int] = []
    for index in np.argsort(-area(annotations.xyxy), kind="stable").tolist():
        overlap = overlap_matrix(annotations.xyxy[[index]], annotations.xyxy[kept])[0]
        if (overlap <= limit[annotations.class_id[index], annotations.class_id[kept]]).all():
            kept.append(index)
    return annotations.select(np.array(sorted(kept), dtype=np.int64))
