"""Metrics between generated and real images: which encoders, and how they are resampled."""

from typing import Annotated

from pydantic import Field, field_validator

from synthdata.config.base import PositiveInt, Section
from synthdata.config.clip import ClipModel
from synthdata.config.encoder import EfficientNetConfig, EncoderConfig


class FidelityConfig(Section):
    """How far generated images are from real ones, beside how far real ones are from each other.

    On whole images and on the crops of each class, in each encoder's features: Fréchet distance,
    kernel distance (FID and KID where it is Inception), manifold precision, recall, density and
    coverage; CMMD too where it is a CLIP. Inception Score on whole images where it is
    Inception. A metric that means nothing for so few images says so.

    Attributes:
        encoders: What turns images into features; none occurs twice.
        clip: The CLIP whose CMMD and CLIP score are measured on crops, and, where it is a
            pretrained one, on whole images with their prompts: one that `fit` trained knows the
            captions of crops alone. Null leaves them out.
        image_size: Pixels that a whole image's longer side is resized to.
        crop_size: Pixels that a crop is resized to.
        margin: Context on each side of a box, as a fraction of its longer side.
        num_neighbors: k of the manifold metrics.
        num_draws: Half-samples that an interval is made of, 40 or more: of fewer, the ends of a
            95 % interval are the extremes. The Fréchet distance, where there are
            enough images for it, takes seconds for each.
        confidence: Of the intervals.
    """

    encoders: tuple[EncoderConfig, ...] = (EfficientNetConfig(kind="efficientnet-lite0"),)
    clip: ClipModel | None = None
    image_size: Annotated[int, Field(ge=32)] = 224
    crop_size: Annotated[int, Field(ge=32)] = 96
    margin: Annotated[float, Field(ge=0)] = 0.2
    num_neighbors: PositiveInt = 5
    num_draws: Annotated[int, Field(ge=40)] = 200
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @field_validator("encoders")
    @classmethod
    def _encoders_differ(cls, encoders: tuple[EncoderConfig, ...]) -> tuple[EncoderConfig, ...]:
        if len(set(encoders)) != len(encoders):
            raise ValueError(f"each encoder may occur once, got {[one.kind for one in encoders]}")
        return encoders
