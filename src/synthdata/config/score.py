"""The `score` section: how far generated images show what their layout promises."""

from typing import Annotated

from pydantic import Field

from synthdata.config.base import NO_EFFECT, Fraction, PositiveInt, Section, StageSection
from synthdata.config.detector import DetectorConfig
from synthdata.config.encoder import EncoderConfig, ThumbnailConfig
from synthdata.config.fidelity import FidelityConfig


class DetectorTraining(Section):
    """A detector of this stage, and how long it is trained.

    Attributes:
        detector: Which.
        steps: Optimizer steps of its training.
        batch_size: Images a step.
        threads: CPU threads of its training; part of the result.
    """

    detector: DetectorConfig
    steps: PositiveInt = 1000
    batch_size: PositiveInt = 16
    threads: PositiveInt = 2


class ScoreConfig(StageSection):
    """Generates images for the layouts of real val images and lets a judge look at them.

    The judge is a detector trained on all real train images. It is never given to a filter, nor
    to an arm: train it until it stops improving on val.

    Attributes:
        pool: The pool whose generator is scored; it must follow layouts. None takes the first that
            an arm uses.
        num_images: Layouts of val, from the first, at least two; None takes all.
        shard_size: Images between two checkpoints; an embedded model makes as many shards at
            once as there are CPU threads.
        judge: The detector that looks for what the layouts promise.
        alone: A detector trained on generated images alone, and the same one on as many real
            train images, side by side and both evaluated on val; null leaves that out.
        iou_threshold: A promised box is found by a detection of its class that overlaps it
            by at least this IoU, where boxes are counted.
        confidence: Detections below it are ignored where boxes are counted.
        encoder: What turns images into features, to see how near they come to train images.
        fidelity: Metrics between generated and real val images; null leaves them out.
    """

    pool: str | None = None
    num_images: Annotated[int, Field(ge=2)] | None = None
    shard_size: Annotated[PositiveInt, NO_EFFECT] = 32
    judge: DetectorTraining
    alone: DetectorTraining | None = None
    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    confidence: Fraction = 0.25
    encoder: EncoderConfig = ThumbnailConfig(kind="thumbnail")
    fidelity: FidelityConfig | None = None
