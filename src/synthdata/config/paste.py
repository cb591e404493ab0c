"""The pool kind `paste`."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from synthdata.config.base import Fraction, PositiveInt, Section


def _smallest_first(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"num_objects is (smallest, largest), got {list(value)}")
    return value


ObjectRange = Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_smallest_first)]


class PasteConfig(Section):
    """STUB."""

    kind: Literal["paste"]
    objects: Literal["real"] = "real"
    onto: str = "real"
    num_images: PositiveInt | None = None
    num_objects: ObjectRange = (2, 6)
    balance: Fraction = 0.75
    max_overlap: Fraction = 0.1
    scale_jitter: Fraction = 0.15
    flip_lr: Fraction = 0.5
    mask: Literal["ellipse", "box", "grabcut"] = "ellipse"
    blend: Literal["feather", "poisson", "none"] = "feather"
    feather: Fraction = 0.15
