"""Moves a layout's counts from as many objects of each class as in life to as many of each.

Some objects of classes that are too frequent are left out, and others take their place, so that
an image changes no more than the shares ask for: its rare objects stay, and an image without
objects stays empty.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.layout.model import LayoutModel
from synthdata.samples import IntArray

_Float64Array = npt.NDArray[np.float64]
# At balance 1 a layout is to have at most this share fewer objects, at lower ones in proportion
# less. With the few that find no room these are 40 %.
_MOST_LEFT_OUT: Final = 0.38


@dataclass(frozen=True)
class ClassBalance:
    """Which shares of the objects the classes have, and shall have.

    Attributes:
        natural: `(classes,)` shares in the train split, of sum 1.
        wanted: `(classes,)` shares of new layouts, of sum 1.
        most: `(classes,)` the largest count of each class in one train image.
        least_kept: The fewest objects that a layout keeps, as a share of its own number.
        most_kept: The most: fewer than all where objects of the wanted classes are larger, so
            that layouts don't get more crowded than train images.
    """

    natural: _Float64Array
    wanted: _Float64Array
    most: IntArray
    least_kept: float
    most_kept: float


def class_balance(model: LayoutModel, balance: float) -> ClassBalance | None:
    """Return where the shares shall go, or None where they stay as they are.

    A class weighs `count ** (1 - balance)`, as in pasting; one that never occurs, nothing.

    Args:
        model: Of the train split.
        balance: From 0, natural shares, to 1, each class as often.
    """
    counts = model.counts.sum(axis=0).astype(np.float64)
    if balance == 0 or not counts.any():
        return None
    natural = counts / counts.sum()
    weight = np.where(counts > 0, counts ** (1 - balance), 0)
    wanted = weight / weight.sum()
    area = np.array([boxes.size.prod(axis=1).mean() if len(boxes) else 0 for boxes in model.boxes])
    least_kept = 1 - _MOST_LEFT_OUT * balance
    crowding = float(wanted @ area / (natural @ area))
    return ClassBalance(
        natural=natural,
        wanted=wanted,
        most=model.counts.max(axis=0),
        least_kept=least_kept,
        most_kept=float(np.clip(1 / crowding, least_kept, 1)),
    )


def rebalance(counts: IntArray, balance: ClassBalance, *, rng: np.random.Generator) -> IntArray:
    """Return class counts whose expected shares are the wanted ones.

    No class gets more objects than the train image with most of it has. Where that stands in
    the way of the shares, the layout gets smaller, down to `least_kept`; what is missing then
    falls to the classes that have room.

    Args:
        counts: `(classes,)` natural counts of a layout.
        balance: The shares.
        rng: Draws which objects are left out, and rounds.
    """
    number = int(counts.sum())
    raised = balance.wanted > balance.natural
    roomy = (balance.most[raised] / balance.wanted[raised]).min(initial=np.inf)
    total = min(number * balance.most_kept, max(number * balance.least_kept, roomy))
    wanted = _fill(total, balance.wanted, balance.most)
    natural = number * balance.natural
    # As many stay as are in both: a maximal coupling of the two distributions of the class.
    kept = rng.binomial(counts, np.minimum(1, wanted / np.maximum(natural, 1e-9)))
    room = balance.most - kept
    added = np.where(wanted < balance.most, np.clip(wanted - natural, 0, room), room)
    return kept + np.floor(added + rng.random(len(added))).astype(np.int64)


def _fill(total: float, weight: _Float64Array, most: npt.NDArray[np.number]) -> _Float64Array:
    """Return numbers in proportion to weights that sum to `total`, none above its `most`.

    What one can't hold falls to the others; where all are full, the sum is smaller.
    """
    filled = np.zeros(len(weight))
    for _ in weight:  # each round fills one at least
        room = np.where(weight > 0, most - filled, 0)
        open_weight = np.where(room > 1e-9, weight, 0)
        left = total - filled.sum()
        if left <= 1e-9 or not open_weight.any():
            break
        filled += np.minimum(left * open_weight / open_weight.sum(), room)
    return filled
