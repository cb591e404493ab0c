"""The `report` section: what is compared with what, named before the run."""

from typing import Annotated

from pydantic import AfterValidator, Field

from synthdata.config.base import Fraction, NonNegativeInt, PositiveInt, StageSection
from synthdata.config.version import ArmName

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
        reference: The arm that the others are compared with.
        headline: The synthetic arm that the verdict speaks of, and that is compared with the
            free baselines; None takes `synthetic_filtered` where it is trained, else
            `synthetic`. Named before the run, never chosen by its score.
        minimum_gain: Smallest gain in mAP50-95 worth having; an interval below it is
            `no_gain`.
        confidence: Of the intervals.
        bootstrap_samples: Resamples of the evaluation images; 0 leaves that variance out,
            which the report then says.
        gallery_images: Generated images shown beside real ones.
    """

    reference: ArmName = "real"
    headline: ArmName | None = None
    minimum_gain: Fraction = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bootstrap_samples: Annotated[NonNegativeInt, AfterValidator(_none_or_enough)] = 200
    gallery_images: PositiveInt = 12
