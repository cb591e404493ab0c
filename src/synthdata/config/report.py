"""The `report` section: what is compared with what, named before the run."""

from typing import Annotated

from pydantic import AfterValidator, Field

from synthdata.config.arms import ArmConfig, Contrast
from synthdata.config.base import Fraction, NonNegativeInt, PositiveInt, StageSection

_FEWEST_RESAMPLES = 20


def _none_or_enough(value: int) -> int:
    if 0 < value < _FEWEST_RESAMPLES:
        raise ValueError(
            f"bootstrap_samples must be 0 or at least {_FEWEST_RESAMPLES}, which a variance needs"
        )
    return value


class ReportConfig(StageSection):
    """Compares the arms and writes the verdict.

    Attributes:
        minimum_gain: Smallest gain in mAP50-95 worth having; an interval below it is
            `no_gain`.
        confidence: Of the intervals.
        bootstrap_samples: Resamples of the evaluation images; 0 leaves that variance out,
            which the report then says.
        gallery_images: Extra images shown beside real ones.
        selection: Arm to development seed to mAP50-95 on val: the scores of a search, by which the
            advised arm is chosen. Empty: the run's own scores choose it, which then can't say what
            it brings.
        arms: The recipes; the plan sets them from the top level, a YAML never does.
        contrasts: What is compared with what; set likewise.
    """

    minimum_gain: Fraction = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bootstrap_samples: Annotated[NonNegativeInt, AfterValidator(_none_or_enough)] = 200
    gallery_images: PositiveInt = 12
    selection: dict[str, dict[NonNegativeInt, Fraction]] = Field(default_factory=dict)
    arms: dict[str, ArmConfig] = Field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()
