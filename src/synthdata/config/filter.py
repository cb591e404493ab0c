"""The `filter` section: which generated images are kept."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from synthdata.config.base import (
    Fraction,
    PositiveFloat,
    PositiveInt,
    Section,
    StageSection,
)
from synthdata.config.clip import ClipModel, FittedClip
from synthdata.config.detector import DetectorConfig
from synthdata.config.encoder import EfficientNetConfig, EncoderConfig, ThumbnailConfig


class ManifoldFilterConfig(Section):
    """Scores how far an image's box crops lie inside the real crops' manifold.

    Attributes:
        encoder: What turns crops into features.
        num_neighbors: k of the k-nearest-neighbour balls.
        crop_size: Pixels that a crop is resized to before it is encoded.
        margin: Context on each side of a box, as a fraction of its longer side.
        min_score: Images below it are rejected, however few are kept then; a crop inside the
            manifold has at least .5.
        weight: Of this score's rank among the filters' ranks.
    """

    kind: Literal["manifold"]
    encoder: EncoderConfig = EfficientNetConfig(kind="efficientnet-lite0")
    num_neighbors: PositiveInt = 5
    crop_size: Annotated[int, Field(ge=32)] = 96
    margin: Annotated[float, Field(ge=0)] = 0.2
    min_score: Fraction = 0.0
    weight: PositiveFloat = 1.0


class JudgeConfig(Section):
    """A detector whose detections are compared with what the layout promises.

    Attributes:
        iou_threshold: A promised box is found by a detection of its class that overlaps it
            by at least this IoU.
        confidence: Detections below it are ignored.
        detector: The judge; it sees the real train split only.
        steps: Optimizer steps of a judge's training.
        batch_size: Images a step.
        threads: CPU threads of a judge's training; part of the result.
        min_score: Images below it are rejected, however few are kept then.
        weight: Of this score's rank among the filters' ranks.
    """

    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    confidence: Fraction = 0.25
    detector: DetectorConfig
    steps: PositiveInt = 300
    batch_size: PositiveInt = 16
    threads: PositiveInt = 2
    min_score: Fraction = 0.0
    weight: PositiveFloat = 1.0


class DetectorFilterConfig(JudgeConfig):
    """Scores the agreement of a detector trained on the real train split with the layout."""

    kind: Literal["detector"]


def _inner_band(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 < value[0] < value[1] < 100:
        raise ValueError(
            f"band is (lower, upper) percentile between 0 and 100, neither of them, got "
            f"{list(value)}"
        )
    return value


class DifficultyFilterConfig(JudgeConfig):
    """Scores whether an image is as hard as real ones are: neither easy nor hopeless.

    A judge makes errors where an image is hard, or where its labels are wrong. What is easier than
    the easiest real images teaches little; what is harder than the hardest is doubtful. How hard
    real images are is measured out of fold: each by the judge that wasn't trained on it.

    Attributes:
        folds: Parts of the real train images, and judges; images of one group share a part. Each
            judge takes `steps`.
        band: Percentiles of the real images' out-of-fold errors. An image scores 1 in the middle of
            the band, .5 at its ends, and 0 where its error lies outside the real ones'.
    """

    kind: Literal["difficulty"]
    folds: Annotated[int, Field(ge=2)] = 2
    band: Annotated[tuple[float, float], AfterValidator(_inner_band)] = (20, 80)


class MemorisationFilterConfig(Section):
    """Scores how far an image stays from the nearest train image, and rejects copies.

    It ranks no images: what is no copy isn't the better the newer it is.

    Attributes:
        encoder: What turns images into features; a network takes a copy with noise for new.
        image_size: Pixels that an image's longer side is resized to before it is encoded.
        min_score: Images nearer to a train image than this share of the distance that train
            images keep from each other are rejected, however few are kept then.
    """

    kind: Literal["memorisation"]
    encoder: EncoderConfig = ThumbnailConfig(kind="thumbnail")
    image_size: Annotated[int, Field(ge=32)] = 192
    min_score: Fraction = 0.7


class ClipFilterConfig(Section):
    """Scores whether each box's crop fits its class better than another, or background.

    Attributes:
        model: Which CLIP.
        min_score: Images below it are rejected, however few are kept then.
        weight: Of this score's rank among the filters' ranks.
    """

    kind: Literal["clip"]
    model: ClipModel = FittedClip(kind="fitted")
    min_score: Fraction = 0.0
    weight: PositiveFloat = 1.0


FilterKind = Annotated[
    ManifoldFilterConfig
    | ClipFilterConfig
    | DetectorFilterConfig
    | DifficultyFilterConfig
    | MemorisationFilterConfig,
    Field(discriminator="kind"),
]


class FilterConfig(StageSection):
    """Scores each generated image and keeps the best.

    Attributes:
        filters: Each writes a score an image; images are ranked, among those that promise
            the same classes where they are enough, by the weighted mean rank. A kind occurs
            once.
        keep_fraction: Share of the pool that is kept; the rest is rejected with a reason.
        balance_classes: Whether the kept images, and the random drop's, have about as many
            objects of each class, as far as the pool has them.
        min_coverage: The kept set must cover at least this share of the real crops that the
            whole pool covers, of each class; else the stage stops and says so.
        pools: Those that an arm takes a part of; the plan sets them, a YAML never does.
    """

    filters: Annotated[tuple[FilterKind, ...], Field(min_length=1)]
    keep_fraction: Annotated[float, Field(gt=0, le=1)] = 0.7
    balance_classes: bool = False
    min_coverage: Fraction = 0.5
    pools: tuple[str, ...] = ()

    @field_validator("filters")
    @classmethod
    def _kinds_differ(cls, filters: tuple[FilterKind, ...]) -> tuple[FilterKind, ...]:
        kinds = [one.kind for one in filters]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"each filter kind may occur once, got {kinds}")
        return filters
