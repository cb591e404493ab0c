"""The `layout` section: where new images have their objects."""

from typing import Literal

from synthdata.config.base import Fraction, PositiveInt, StageSection


class LayoutConfig(StageSection):
    """Samples layouts for new images.

    Attributes:
        kind: `sampled` draws counts, sizes, aspect ratios and positions from a model of the
            train split; `recombined` joins halves of real layouts, flipped and jittered.
        num_layouts: How many.
        jitter: Standard deviation of position and size noise, as a fraction of the box.
        max_overlap: New objects overlap each other at most by this IoU, or by what real
            pairs of their classes show, whichever is larger.
    """

    kind: Literal["sampled", "recombined"] = "sampled"
    num_layouts: PositiveInt = 200
    jitter: Fraction = 0.1
    max_overlap: Fraction = 0.3
