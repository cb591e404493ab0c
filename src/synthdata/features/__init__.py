"""Image encoders, and the features of box crops with an on-disk cache."""

from typing import assert_never

from synthdata.config.encoder import (
    ClipConfig,
    Dinov2Config,
    EfficientNetConfig,
    EncoderConfig,
    InceptionConfig,
    ThumbnailConfig,
)
from synthdata.extras import needing_features
from synthdata.features.base import ImageEncoder
from synthdata.features.thumbnail import Thumbnail

__all__ = ["ImageEncoder", "build_encoder"]


def build_encoder(config: EncoderConfig) -> ImageEncoder:
    """Return the encoder, with its weights loaded.

    Raises:
        ConfigError: If its packages aren't installed or its weights can't be loaded.
    """
    with needing_features(f"encoder {config.kind}"):
        return _build(config)


def _build(config: EncoderConfig) -> ImageEncoder:
    # Each is imported where it is used: the packages are large, and optional.
    match config:
        case ThumbnailConfig():
            return Thumbnail()
        case EfficientNetConfig():
            from synthdata.features.efficientnet import EfficientNetLite0

            return EfficientNetLite0()
        case ClipConfig():
            from synthdata.features.pretrained import clip_encoder

            return clip_encoder(config)
        case Dinov2Config():
            from synthdata.features.pretrained import dinov2_encoder

            return dinov2_encoder(config)
        case InceptionConfig():
            from synthdata.features.inception import Inception

            return Inception(config)
        case _:
            assert_never(config)
