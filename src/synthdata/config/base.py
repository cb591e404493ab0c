"""What every config section shares."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

StageName = Literal[
    "prepare", "fit", "layout", "generate", "score", "filter", "version", "train", "report"
]
STAGES: tuple[StageName, ...] = (
    "prepare", "fit", "layout", "generate", "score", "filter", "version", "train", "report",
)  # fmt: skip
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda"]
Fraction = Annotated[float, Field(ge=0, le=1)]
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
