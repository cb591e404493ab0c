"""The `report` section: the contrasts, named before the run."""

from typing import Annotated

from pydantic import Field

from synthdata.config.base import Fraction, NonNegativeInt, PositiveInt, StageSection
from synthdata.config.version import ArmName


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
    bootstrap_samples: NonNegativeInt = 200
    gallery_images: PositiveInt = 12
