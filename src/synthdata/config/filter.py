"""The `filter` section: which generated images are kept."""

from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import Fraction, PositiveFloat, PositiveInt, Section, StageSection
from synthdata.config.detector import DetectorConfig


class ManifoldFilterConfig(Section):
    """Scores the share of an image's box crops that lie inside the real crops' manifold.

    Attributes:
        num_neighbors: k of the k-nearest-neighbour balls.
        crop_size: Pixels that a crop is resized to before it is encoded.
        margin: Context around a box, as a fraction of it.
        weight: Of this score's rank among the filters' ranks.
    """

    kind: Literal["manifold"]
    num_neighbors: PositiveInt = 3
    crop_size: PositiveInt = 96
    margin: Annotated[float, Field(ge=0)] = 0.2
    weight: PositiveFloat = 1.0


class DetectorFilterConfig(Section):
    """Scores the agreement of a detector trained on the real train split with the layout.

    Attributes:
        iou_threshold: A promised box is found by a detection of its class above it.
        confidence: Detections below it are ignored.
        detector: The judge; it sees the real train split only.
        steps: Optimizer steps of the judge's training.
        batch_size: Images a step.
        weight: Of this score's rank among the filters' ranks.
    """

    kind: Literal["detector"]
    iou_threshold: Fraction = 0.5
    confidence: Fraction = 0.25
    detector: DetectorConfig
    steps: PositiveInt = 300
    batch_size: PositiveInt = 16
    weight: PositiveFloat = 1.0


FilterKind = Annotated[ManifoldFilterConfig | DetectorFilterConfig, Field(discriminator="kind")]


class FilterConfig(StageSection):
    """Scores each generated image and keeps the best.

    Attributes:
        pool: The generator whose images are filtered.
        filters: Each writes a score an image; images are ranked by the weighted mean rank.
        keep_fraction: Share of the pool that is kept; the rest is rejected with a reason.
        min_coverage: The kept set must cover at least this share of the real manifold that
            the whole pool covers; else the stage stops and says so.
    """

    pool: str = "synthetic"
    filters: tuple[FilterKind, ...]
    keep_fraction: Annotated[float, Field(gt=0, le=1)] = 0.7
    min_coverage: Fraction = 0.5
