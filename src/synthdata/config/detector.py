"""Which detector is trained, and how: shared by `train` and the filter's judge."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from synthdata.config.base import NO_EFFECT, Fraction, PositiveFloat, Section

# Also `http:/x`, which ultralytics takes for an address; a drive such as `C:/` is none.
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

# Where it differs from ultralytics' defaults, which are those of the class.
_WEAK_POLICY: Final = {
    "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "mosaic": 0.0, "close_mosaic": 0.0,
}  # fmt: skip


class UltralyticsConfig(Section):
    """An ultralytics YOLO, in a process of its own (AGPL-3.0).

    Attributes:
        model: `.yaml` (an architecture, trained from scratch) or `.pt` (weights, fine-tuned);
            a size letter that ultralytics doesn't know, `yolo11p.yaml`, is synthdata's own
            smaller one.
        trust_weights: Whether `model` may be a `.pt`. It is a pickle, which can run any code
            when it is loaded.
        allow_download: Whether `model` may be an address, or the name of weights that
            ultralytics has on its servers. What comes isn't part of the training's key.
        image_size: Longer side in pixels, a multiple of 32.
        learning_rate: Initial, AdamW.
        augmentations: albumentations transforms by name, with their arguments; stated, never
            the library's silent default.
        flip_lr: Probability of a left-right flip.
        flip_ud: Probability of an up-down flip.
        scale: Gain of the random scaling: a factor in [1 - scale, 1 + scale].
        translate: Share of the image of the random shift.
        hsv_h: Share of the colour circle by which the hue is shifted at most, both ways.
        hsv_s: Gain of the random change of the saturation.
        hsv_v: Gain of the random change of the brightness.
        mosaic: Probability that four images are joined to one.
        close_mosaic: Share of a phase's epochs, at its end, that join no images.
        policy: Which values those of the augmentations have that aren't stated: `default` are
            ultralytics' own, `weak` neither joins images nor changes colours.
    """

    kind: Literal["ultralytics"]
    model: str = "yolo11n.yaml"
    trust_weights: Annotated[bool, NO_EFFECT] = False
    allow_download: Annotated[bool, NO_EFFECT] = False
    image_size: Annotated[int, Field(gt=0, multiple_of=32)] = 192
    learning_rate: PositiveFloat = 2e-3
    augmentations: tuple[dict[str, dict[str, Any]], ...] = ()
    flip_lr: Fraction = 0.5
    flip_ud: Fraction = 0.0
    scale: Fraction = 0.5
    translate: Fraction = 0.1
    hsv_h: Fraction = 0.015
    hsv_s: Fraction = 0.7
    hsv_v: Fraction = 0.4
    mosaic: Fraction = 1.0
    close_mosaic: Fraction = 0.1  # ultralytics: 10 epochs of its 100
    policy: Annotated[Literal["default", "weak"], NO_EFFECT] = "default"

    @model_validator(mode="before")
    @classmethod
    def _policy_fills_in(cls, values: Any) -> Any:  # noqa: ANN401  # whatever a YAML holds
        """Give what isn't stated the policy's values, so that records hold plain numbers."""
        if isinstance(values, Mapping) and values.get("policy") == "weak":
            return {**_WEAK_POLICY, **values}
        return values

    @property
    def is_address(self) -> bool:
        """Whether `model` is an address rather than a file or a name."""
        return _ADDRESS.match(self.model) is not None

    @model_validator(mode="after")
    def _model_is_trusted(self) -> Self:
        if self.is_address and not self.allow_download:
            raise ValueError(
                f"model is {self.model!r}, an address, and trainings download nothing; download "
                "the file yourself and name it, or set allow_download: true"
            )
        suffix = Path(self.model.partition("?")[0]).suffix.lower()
        if suffix not in (".yaml", ".yml", ".pt"):
            raise ValueError(
                f"model must be an architecture (.yaml) or weights (.pt), got {self.model!r}"
            )
        if suffix == ".pt" and not self.trust_weights:
            raise ValueError(
                f"model is {self.model!r}, a pickle, which can run any code when it is loaded; "
                "name an architecture (.yaml), or set trust_weights: true if you trust who made it"
            )
        return self


DetectorConfig = UltralyticsConfig
