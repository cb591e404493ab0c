"""The data sets that `prepare` and shifted evaluation sets can be read from."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthdata.config.base import NonNegativeInt, PositiveInt, Section

PaperName = Literal["office", "kraft"]
InkName = Literal["pen", "pencil"]
Laboratory = Literal["raabin", "pbc"]


class DigitsSource(Section):
    """Scenes made from scikit-learn's scans of handwritten digits; needs no download.

    Attributes:
        digits: Which digits are classes.
        num_train: Scenes in the official train split (the few-shot draw takes from it).
        num_val: Scenes in val.
        num_test: Scenes in test.
        dataset_seed: Which scenes; not the repetition, so that val and test stay the same.
        paper: What is written on: light office paper, or brown kraft paper with flecks.
        ink: What is written with: pens of several colours, or a grey pencil.
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
    paper: PaperName = "office"
    ink: InkName = "pen"

    @field_validator("digits")
    @classmethod
    def _digits_differ(cls, digits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(digits)) != len(digits):
            raise ValueError(f"digits must differ from each other, got {list(digits)}")
        return digits


class BccdSource(Section):
    """BCCD: 364 blood-smear photographs, 3 classes, official splits (MIT licence)."""

    kind: Literal["bccd"]


class TxlPbcSource(Section):
    """Blood smears of another laboratory than BCCD's, from TXL-PBC (MIT licence).

    They have val and test only, 100 and 50 photographs, so that they can be a shifted set and no
    run's own data.

    Attributes:
        laboratory: `raabin` (575x575 pixels) or `pbc` (about 360x363).
    """

    kind: Literal["txl-pbc"]
    laboratory: Laboratory


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


Source = Annotated[DigitsSource | BccdSource | FolderSource, Field(discriminator="kind")]
ShiftedSource = Annotated[
    DigitsSource | BccdSource | TxlPbcSource | FolderSource, Field(discriminator="kind")
]
