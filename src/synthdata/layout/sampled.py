"""Layouts drawn from the model of the train split.

Counts come jointly, from between two similar real images; each box is a real box of its
class with noise on its scale, at a real position of its class with noise on that (a smoothed
bootstrap, Silverman 1986, section 6.4); boxes that a border cuts stay cut by it. Objects are
placed one after the other, by how much their classes attract or repel each other.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.layout.attraction import attraction_weight
from synthdata.layout.balance import ClassBalance, rebalance
from synthdata.layout.geometry import overlap_matrix
from synthdata.layout.model import ClassBoxes, LayoutModel
from synthdata.samples import Annotations, IntArray

_NUM_NEIGHBOURS: Final = 5  # as SMOTE
_NUM_CANDIDATES: Final = 64  # positions that an object chooses among at once
_NUM_ROUNDS: Final = 12  # of candidates, before an object is given up
_NUM_REDRAWS: Final = 5  # of the layout, when an object was given up
_MIN_SIDE_PX: Final = 2.0


@dataclass(frozen=True)
class _Planned:
    """An object to place: its class, its size in pixels and the borders that cut it."""

    class_id: int
    size: FloatArray
    edges: tuple[bool, bool, bool, bool]


def sample_layout(
    model: LayoutModel,
    *,
    rng: np.random.Generator,
    jitter: float,
    balance: ClassBalance | None = None,
) -> tuple[tuple[int, int], Annotations]:
    """Return the canvas (width, height) and the objects of one new layout.

    An object for which there is no room is left out, after the placement was redone a few
    times; overlap limits are never broken.

    Args:
        model: Of the train split.
        rng: Source of randomness.
        jitter: Of sizes and positions; see `LayoutConfig`.
        balance: Which classes shall come more often; None leaves their shares.
    """
    index = int(rng.integers(len(model.canvases)))
    canvas = model.canvases[index]
    counts = sample_counts(model.counts, index, rng=rng)
    if balance is not None:
        counts = rebalance(counts, balance, rng=rng)
    best = Annotations.empty()
    for _ in range(_NUM_REDRAWS):
        placed = _place_all(model, counts, canvas, rng=rng, jitter=jitter)
        if len(placed) >= len(best):
            best = placed
        if len(placed) == counts.sum():
            break
    return canvas, best


def sample_counts(counts: IntArray, index: int, *, rng: np.random.Generator) -> IntArray:
    """Return class counts from between image `index` and one like it.

    The other image shows the same classes and is among the nearest in counts, each class in
    units of its standard deviation, so that classes keep their correlation and a class that
    comes alone or rarely still does (SMOTE, Chawla et al. 2002, on count vectors).

    Args:
        counts: `(images, classes)` of the train split.
        index: The image.
        rng: Source of randomness.

    Returns:
        `(classes,)`.
    """
    own: IntArray = counts[index]
    alike = np.flatnonzero(((counts > 0) == (own > 0)).all(axis=1))
    alike = alike[alike != index]
    if len(alike) == 0:
        return own.copy()
    spread = np.maximum(counts.std(axis=0), 1e-9)
    distance = np.linalg.norm((counts[alike] - own) / spread, axis=1)
    nearest = alike[np.argsort(distance, kind="stable")[:_NUM_NEIGHBOURS]]
    other = counts[rng.choice(nearest)]
    between: IntArray = np.rint(own + rng.random() * (other - own)).astype(np.int64)
    return between


def _place_all(
    model: LayoutModel,
    counts: IntArray,
    canvas: tuple[int, int],
    *,
    rng: np.random.Generator,
    jitter: float,
) -> Annotations:
    planned = [
        _plan(model.boxes[class_id], class_id, canvas, rng=rng, jitter=jitter)
        for class_id in np.repeat(np.arange(len(counts)), counts).tolist()
    ]
    # Large objects first: they find less room later.
    planned.sort(key=lambda item: -float(item.size.prod()))
    xyxy = np.zeros((0, 4), dtype=np.float32)
    class_id = np.zeros(0, dtype=np.int64)
    for item in planned:
        box = _place(model, item, Annotations(xyxy, class_id), canvas, rng=rng, jitter=jitter)
        if box is not None:
            xyxy = np.vstack([xyxy, box])
            class_id = np.append(class_id, item.class_id)
    order = rng.permutation(len(class_id))  # the order of boxes tells nothing
    return Annotations(xyxy[order], class_id[order])


def _plan(
    boxes: ClassBoxes,
    class_id: int,
    canvas: tuple[int, int],
    *,
    rng: np.random.Generator,
    jitter: float,
) -> _Planned:
    index = rng.integers(len(boxes))
    limit = np.array(canvas, dtype=np.float32)
    # One factor for both sides: aspect ratios vary far less than sizes in most classes.
    scale = np.float32(np.exp(rng.normal(0, jitter)) * np.sqrt(limit.prod()))
    size = np.clip(boxes.size[index] * scale, _MIN_SIDE_PX, limit)
    left, top, right, bottom = boxes.edges[index].tolist()
    return _Planned(class_id, size, (left, top, right, bottom))


def _place(
    model: LayoutModel,
    item: _Planned,
    placed: Annotations,
    canvas: tuple[int, int],
    *,
    rng: np.random.Generator,
    jitter: float,
) -> FloatArray | None:
    boxes = model.boxes[item.class_id]
    limits = model.overlap_limit[item.class_id][placed.class_id]
    factors = model.attraction[item.class_id][placed.class_id]
    for _ in range(_NUM_ROUNDS):
        candidates = _candidates(boxes, item, canvas, rng=rng, jitter=jitter)
        weight = attraction_weight(candidates, placed.xyxy, factors)
        weight *= (overlap_matrix(candidates, placed.xyxy) <= limits).all(axis=1)
        if weight.any():
            chosen: FloatArray = candidates[rng.choice(len(candidates), p=weight / weight.sum())]
            return chosen
    return None


def _candidates(
    boxes: ClassBoxes,
    item: _Planned,
    canvas: tuple[int, int],
    *,
    rng: np.random.Generator,
    jitter: float,
) -> FloatArray:
    """Return `(_NUM_CANDIDATES, 4)` boxes of the item's size, cut by the item's borders."""
    limit = np.array(canvas, dtype=np.float32)
    same_edges = np.flatnonzero((boxes.edges == item.edges).all(axis=1))
    index = rng.choice(same_edges, _NUM_CANDIDATES)
    spread = np.maximum(boxes.bandwidth * limit, jitter * item.size)
    centre = boxes.centre[index] * limit + rng.normal(0, 1, (_NUM_CANDIDATES, 2)) * spread
    half = (item.size / 2).astype(np.float32)
    inside = _reflect(centre.astype(np.float32), half, limit - half)
    corners = np.hstack([inside - half, inside + half])
    return _stick_to_edges(corners, item, limit)


def _reflect(value: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return values mirrored at the borders, so that noise neither leaves nor piles up."""
    span = np.maximum(high - low, 1e-6)
    folded = np.mod(value - low, 2 * span)
    result: FloatArray = low + np.where(folded > span, 2 * span - folded, folded)
    return result


def _stick_to_edges(corners: FloatArray, item: _Planned, limit: FloatArray) -> FloatArray:
    for axis in (0, 1):
        at_start, at_end = item.edges[axis], item.edges[axis + 2]
        if at_start:
            corners[:, axis] = 0
            corners[:, axis + 2] = item.size[axis]
        if at_end:
            corners[:, axis + 2] = limit[axis]
            corners[:, axis] = 0 if at_start else limit[axis] - item.size[axis]
    return np.clip(corners, 0, np.tile(limit, 2))
