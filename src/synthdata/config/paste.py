"""A pool of images with objects pasted onto them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from synthdata.config.base import Fraction, PositiveInt, Section

Blend = Literal["feather", "poisson", "none"]


def _smallest_first(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"num_objects is (smallest, largest), got {list(value)}")
    return value


ObjectRange = Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_smallest_first)]


class PasteConfig(Section):
    """Pastes objects cut from train images onto train images or onto another pool's.

    Attributes:
        objects: Where the objects come from: the `real` train split.
        onto: Where they go: onto images of the `real` train split, or of the pool of this name,
            whose labels are kept.
        num_objects: Smallest and largest number of objects pasted per image.
        balance: 0 draws objects as often as they occur, 1 draws each class as often.
        max_overlap: A pasted box and another share at most this part of the smaller one.
        scale_jitter: Standard deviation of the pasted object's size, of its logarithm.
        flip_lr: Probability that a pasted object is flipped left to right.
        mask: What of a box is pasted: the `ellipse` inside it, for round objects; all of the
            `box`; or what `grabcut` takes for the object in it, which needs the extra `paste`.
        blend: How the object meets the image: `feather` fades its border, `poisson` takes on the
            image's colours and keeps its own gradients, `none` cuts it hard. Of several, each
            object draws one.
        feather: Width of the border around the object that `feather` fades and that `poisson`
            takes along, as a fraction of half the box.
        num_images: How many images; None makes as many as there are layouts.
    """

    kind: Literal["paste"]
    objects: Literal["real"] = "real"
    onto: Annotated[str, Field(min_length=1)] = "real"
    num_objects: ObjectRange = (2, 6)
    balance: Fraction = 0.75
    max_overlap: Fraction = 0.1
    scale_jitter: Fraction = 0.15
    flip_lr: Fraction = 0.5
    mask: Literal["ellipse", "box", "grabcut"] = "ellipse"
    blend: Blend | Annotated[tuple[Blend, ...], Field(min_length=1)] = "feather"
    feather: Fraction = 0.15
    num_images: PositiveInt | None = None

    @property
    def blends(self) -> tuple[Blend, ...]:
        """What each object draws its blend from."""
        return (self.blend,) if isinstance(self.blend, str) else self.blend
