"""A pool whose images are another pool's, repainted a little."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from synthdata.config.base import Fraction, Percentile, PositiveFloat, PositiveInt
from synthdata.config.generator import RepaintConfig


def _smallest_first(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError(f"keep_objects is (lower, upper) percentile, got {list(value)}")
    return value


class CompositeConfig(RepaintConfig):
    """Repaints another pool's images one for one, then puts real pixels back by object size.

    That pool is its free twin: the same images, labels and places of objects, without a model. A
    small object keeps all of its pixels, which an autoencoder would lose; a large one keeps a
    part; the ring around it, with the seam of what was pasted, is the model's. After the area
    weights of SOC (arXiv 2510.09110).

    Attributes:
        onto: The pool whose images are repainted under their own labels, or the `real` train split.
        strength: Share of the denoising steps that are run; 0 runs none: an image goes through
            the autoencoder and back, a control for what that changes.
        guidance_scale: As for other generators; off unless stated.
        keep_objects: Percentiles of the areas of the train boxes. Up to the lower one an object
            gets all of its pixels back, from the upper one on the share `keep_least`, and between
            them a share that falls linearly with its area. None gives no object any back.
        keep_least: The share that the largest objects get back.
        mask: What of a box is the object: the `ellipse` inside it, or all of the `box`.
        feather: Width of the soft border around it, as a fraction of half the box.
        keep_detail: Far from objects the repainted image changes only what is coarser than this
            Gaussian, whose standard deviation is a fraction of the image's width; finer detail
            stays that of the image below. 0 keeps none.
        num_images: How many images; more than the pool below has go round again with other noise.
            None makes one of each.
    """

    kind: Literal["composite"]
    onto: Annotated[str, Field(min_length=1)]
    strength: Fraction = 0.3
    guidance_scale: PositiveFloat = 1.0
    keep_objects: (
        Annotated[tuple[Percentile, Percentile], AfterValidator(_smallest_first)] | None
    ) = (33, 90)
    keep_least: Fraction = 0.5
    mask: Literal["ellipse", "box"] = "ellipse"
    feather: Fraction = 0.15
    keep_detail: Fraction = 0.05
    num_images: PositiveInt | None = None
