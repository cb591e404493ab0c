"""The `layout` section: where new images have their objects."""

from typing import Literal

from synthdata.config.base import Fraction, PositiveInt, StageSection


class LayoutConfig(StageSection):
    """Samples layouts for new images.

    Attributes:
        kind: `sampled` draws counts, sizes, aspect ratios and positions from a model of the
            train split; `recombined` joins halves of real layouts, flipped and jittered.
        num_layouts: How many.
        jitter: Standard deviation of the noise on a box's scale (of the logarithm; its aspect
            ratio stays) and, as a fraction of the box, the least noise of its position.
        max_overlap: No two objects overlap by more than this share of the smaller one's
            area, nor by more than real pairs of their classes show.
        balance: Class balance of the layouts, from 0, as natural, to 1, each class as often; a
            pool may have its own.
        balances: Of the pools that are made; the plan sets them, a YAML never does.
    """

    kind: Literal["sampled", "recombined"] = "sampled"
    num_layouts: PositiveInt = 200
    jitter: Fraction = 0.07
    max_overlap: Fraction = 0.5
    balance: Fraction = 0.0
    balances: tuple[Fraction, ...] = ()
