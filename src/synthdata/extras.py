"""The optional packages of encoders and metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from synthdata.errors import ConfigError


@contextmanager
def needing_features(what: str) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Args:
        what: Needs the packages; begins the message.

    Raises:
        ConfigError: If a package is missing.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {error.name}: pip install 'synthdata[features]'"
        ) from error
