"""The `evaluation` section: what detectors are scored on beside val and test."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from synthdata.config.base import PositiveInt, Section
from synthdata.config.grouping import GroupPattern
from synthdata.config.sources import DigitsSource, ShiftedSource

_TAKEN = ("train", "reserve", "val", "test")


def _not_a_split(name: str) -> str:
    if name in _TAKEN:
        raise ValueError(f"must differ from the splits {', '.join(_TAKEN)}, got {name!r}")
    return name


ShiftedName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$"), AfterValidator(_not_a_split)]


class ShiftedSetConfig(Section):
    r"""One shifted evaluation set: the same classes under other conditions.

    Attributes:
        source: The data set. Its classes are matched with the run's by name.
        split: Which of its images; None takes all splits together. Of digits only val and test
            can be taken, None means test: their train scenes show the scans that the run's do.
        scale: Factor on each image's width and height in pixels, which brings objects to the
            size that they have in the run's images; at most 8. The aspect ratio stays.
        max_images: Cap; None takes all.
        repair: Drop boxes that the check reports as errors, instead of stopping.
        ignore_classes: Classes of the source that the run doesn't know and whose objects are
            left out. A detector that finds one as something else makes an error.
        group_by: As `prepare.group_by`, for this set's file names.
    """

    source: ShiftedSource
    split: Literal["train", "val", "test"] | None = None
    scale: Annotated[float, Field(gt=0, le=8)] = 1.0
    max_images: PositiveInt | None = None
    repair: bool = False
    ignore_classes: tuple[str, ...] = ()
    group_by: GroupPattern | None = None

    @model_validator(mode="after")
    def _scans_are_held_out(self) -> Self:
        if isinstance(self.source, DigitsSource) and self.split == "train":
            raise ValueError(
                "split must be val or test for digits, since their train scenes show the scans "
                "that the run's train scenes show; got 'train'"
            )
        return self


class EvaluationConfig(Section):
    """What detectors are scored on beside val and test.

    Attributes:
        shifted: Sets from another stain, camera, laboratory or paper, by name. Each has a
            verdict of its own, and is looked at as seldom as test.
    """

    shifted: dict[ShiftedName, ShiftedSetConfig] = Field(default_factory=dict)
