"""The `prepare` section: which real data, and how it is split."""

from typing import Self

from pydantic import model_validator

from synthdata.config.base import NonNegativeInt, PositiveInt, StageSection
from synthdata.config.grouping import GroupPattern
from synthdata.config.sources import Source


class PrepareConfig(StageSection):
    r"""Reads, checks, splits and resizes the real data.

    Attributes:
        source: The data set.
        image_size: (width, height) in pixels to resize to, whatever the aspect ratio was;
            None keeps the size.
        train_images: Size of the few-shot draw from the official train split; None takes all.
        min_instances: Each class has at least that many objects in the draw.
        ceiling_images: Real train images that a ceiling may see, the draw included; None takes all.
        val_images: Cap on val; None takes all.
        test_images: Cap on test; None takes all.
        repair: Drop boxes that the check reports as errors (outside, zero or one pixel, NaN),
            instead of stopping; each repair is counted in the report.
        group_by: A regular expression that is searched for in each image file's stem, such as
            `(slide\d+)_`. Images with the same text in its one group belong together: tiles of a
            picture, frames of a camera. They stay in one split where splits are made, and
            statistics resample them as one. Images without a match are groups of their own.
    """

    source: Source
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    train_images: PositiveInt | None = None
    min_instances: NonNegativeInt = 1
    ceiling_images: PositiveInt | None = None
    val_images: PositiveInt | None = None
    test_images: PositiveInt | None = None
    repair: bool = False
    group_by: GroupPattern | None = None

    @model_validator(mode="after")
    def _ceiling_includes_the_draw(self) -> Self:
        if self.ceiling_images and self.train_images and self.ceiling_images < self.train_images:
            raise ValueError(
                f"ceiling_images must be at least train_images ({self.train_images}), "
                f"got {self.ceiling_images}"
            )
        return self
