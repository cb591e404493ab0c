"""The optional packages, and what to install where one is missing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from synthdata.errors import ConfigError


@contextmanager
def needing_extra(
    extra: Literal["features", "onnx", "paste", "search"], what: str
) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Args:
        extra: synthdata's extra that holds the packages.
        what: Needs the packages; begins the message.

    Raises:
        ConfigError: If a package is missing.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{what} needs {error.name}: pip install 'synthdata[{extra}]'") from error


def needing_features(what: str) -> AbstractContextManager[None]:
    """Return `needing_extra` for the packages of encoders and metrics."""
    return needing_extra("features", what)
