"""The `prepare` section: which real data, and how it is split."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthdata.config.base import NonNegativeInt, PositiveInt, Section, StageSection


class DigitsSource(Section):
    """Scenes made from scikit-learn's scans of handwritten digits; needs no download.

    Attributes:
        digits: Which digits are classes.
        num_train: Scenes in the official train split (the few-shot draw takes from it).
        num_val: Scenes in val.
        num_test: Scenes in test.
        dataset_seed: Which scenes; not the repetition, so that val and test stay the same.
    """

    kind: Literal["digits"]
    digits: Annotated[tuple[Annotated[int, Field(ge=0, le=9)], ...], Field(min_length=1)] = (
        0,
        4,
        7,
    )
    num_train: PositiveInt = 320
    num_val: PositiveInt = 100
    num_test: PositiveInt = 150
    dataset_seed: NonNegativeInt = 0

    @field_validator("digits")
    @classmethod
    def _digits_differ(cls, digits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(digits)) != len(digits):
            raise ValueError(f"digits must differ from each other, got {list(digits)}")
        return digits


class BccdSource(Section):
    """BCCD: 364 blood-smear photographs, 3 classes, official splits (MIT licence)."""

    kind: Literal["bccd"]


class FolderSource(Section):
    """A data set of the user's own.

    Attributes:
        path: Its folder, relative to the workspace or absolute.
        format: YOLO, COCO or Pascal VOC.
        val_fraction: Share of the train images that becomes val, where the data set has none.
        test_fraction: Share of the train images that becomes test, where it has none.
        split_seed: Which of them; not the repetition, so that val and test stay the same.
    """

    kind: Literal["folder"]
    path: Path
    format: Literal["yolo", "coco", "voc"]
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _train_keeps_some(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                "val_fraction and test_fraction must sum to less than 1, got "
                f"{self.val_fraction} and {self.test_fraction}"
            )
        return self


class PrepareConfig(StageSection):
    """Reads, checks, splits and resizes the real data.

    Attributes:
        source: The data set.
        image_size: (width, height) in pixels to resize to, whatever the aspect ratio was;
            None keeps the size.
        train_images: Size of the few-shot draw from the official train split; None takes all.
        min_instances: Each class has at least that many objects in the draw.
        oracle_images: Real images of the `oracle` arm, the draw included; None takes all.
        val_images: Cap on val; None takes all.
        test_images: Cap on test; None takes all.
        repair: Drop boxes that the check reports as errors (outside, zero or one pixel, NaN),
            instead of stopping; each repair is counted in the report.
    """

    source: Annotated[DigitsSource | BccdSource | FolderSource, Field(discriminator="kind")]
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    train_images: PositiveInt | None = None
    min_instances: NonNegativeInt = 1
    oracle_images: PositiveInt | None = None
    val_images: PositiveInt | None = None
    test_images: PositiveInt | None = None
    repair: bool = False

    @model_validator(mode="after")
    def _oracle_includes_the_draw(self) -> Self:
        if self.oracle_images and self.train_images and self.oracle_images < self.train_images:
            raise ValueError(
                f"oracle_images must be at least train_images ({self.train_images}), "
                f"got {self.oracle_images}"
            )
        return self
