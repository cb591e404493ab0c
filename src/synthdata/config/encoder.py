"""Image encoders: what turns images into features."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import Section


class EfficientNetConfig(Section):
    """EfficientNet-Lite0 with ImageNet weights, from a Python package: no download."""

    kind: Literal["efficientnet-lite0"]


class ThumbnailConfig(Section):
    """Grey thumbnails of even brightness and contrast: for finding copies."""

    kind: Literal["thumbnail"]


class ClipConfig(Section):
    """The image half of a CLIP model of transformers (safetensors only).

    Attributes:
        model: Folder or hub id, such as `openai/clip-vit-base-patch32`.
        revision: Commit on the hub.
    """

    kind: Literal["clip"]
    model: str
    revision: str | None = None


class Dinov2Config(Section):
    """A DINOv2 model of transformers (safetensors only).

    Attributes:
        model: Folder or hub id, such as `facebook/dinov2-small`.
        revision: Commit on the hub.
    """

    kind: Literal["dinov2"]
    model: str
    revision: str | None = None


class InceptionConfig(Section):
    """The Inception v3 that FID, KID and Inception Score are defined with (torch-fidelity).

    Attributes:
        weights: torch-fidelity's file `weights-inception-2015-12-05-6726825d.pth`.
    """

    kind: Literal["inception"]
    weights: Path


EncoderConfig = Annotated[
    EfficientNetConfig | ThumbnailConfig | ClipConfig | Dinov2Config | InceptionConfig,
    Field(discriminator="kind"),
]
