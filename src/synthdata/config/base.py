"""What every config section shares."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

StageName = Literal[
    "prepare", "fit", "layout", "generate", "score", "filter", "version", "train", "report"
]
STAGES: tuple[StageName, ...] = (
    "prepare", "fit", "layout", "generate", "score", "filter", "version", "train", "report",
)  # fmt: skip
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
# What `auto` stands for belongs to a stage's key, not the word.
Device = Annotated[Literal["auto", "cpu", "cuda"], Field(json_schema_extra={"device": True})]
# Marks a setting, `Annotated[int, NO_EFFECT]`, that changes how a stage works or what is done with
# its result, and not the result: a finished stage stays fresh where it changes.
NO_EFFECT: Final[Any] = Field(json_schema_extra={"effect": False})
Fraction = Annotated[float, Field(ge=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of a config; a misspelt key is an error, and so is NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StageSection(Section):
    """A stage's section.

    Attributes:
        seed: The repetition; the plan sets it, a YAML never does.
    """

    seed: NonNegativeInt = 0


def has_effect(field: FieldInfo) -> bool:
    """Return whether a setting changes a stage's result; see `NO_EFFECT`."""
    return _mark(field, "effect") is not False


def is_device(field: FieldInfo) -> bool:
    """Return whether a setting is a `Device`."""
    return _mark(field, "device") is True


def _mark(field: FieldInfo, name: str) -> object:
    marks = field.json_schema_extra
    return marks.get(name) if isinstance(marks, dict) else None
