"""Which detector is trained, and how: shared by `train` and the filter's judge."""

from typing import Annotated, Any, Literal

from pydantic import Field

from synthdata.config.base import Fraction, PositiveFloat, Section


class UltralyticsConfig(Section):
    """An ultralytics YOLO, in a process of its own (AGPL-3.0).

    Attributes:
        model: `.yaml` (an architecture, trained from scratch) or `.pt` (weights, fine-tuned);
            a size letter that ultralytics doesn't know, `yolo11p.yaml`, is synthdata's own
            smaller one.
        image_size: Longer side in pixels, a multiple of 32.
        learning_rate: Initial, AdamW.
        augmentations: albumentations transforms by name, with their arguments; stated, never
            the library's silent default.
        flip_lr: Probability of a left-right flip.
        flip_ud: Probability of an up-down flip.
        scale: Gain of the random scaling.
        translate: Share of the image of the random shift.
        mosaic: Probability that four images are joined to one.
    """

    kind: Literal["ultralytics"]
    model: str = "yolo11n.yaml"
    image_size: Annotated[int, Field(gt=0, multiple_of=32)] = 192
    learning_rate: PositiveFloat = 2e-3
    augmentations: tuple[dict[str, dict[str, Any]], ...] = ()
    flip_lr: Fraction = 0.5
    flip_ud: Fraction = 0.0
    scale: Fraction = 0.5
    translate: Fraction = 0.1
    mosaic: Fraction = 0.0


DetectorConfig = UltralyticsConfig
