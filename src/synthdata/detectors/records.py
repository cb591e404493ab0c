"""Reads the JSON of a job folder, of which a power cut may leave a file empty or cut."""

from pathlib import Path
from typing import TypeVar

from synthdata.errors import DamagedFileError, RunError
from synthdata.files import read_json

T = TypeVar("T", dict, list)  # type: ignore[type-arg]  # JSON's two trees


def read_record(path: Path, kind: type[T]) -> T | None:
    """Return the value in a JSON file, or None where there is none of that kind to be read."""
    try:
        value = read_json(path)
    except (FileNotFoundError, DamagedFileError):
        return None
    return value if isinstance(value, kind) else None


def read_finished(path: Path, kind: type[T]) -> T:
    """Return the value in a JSON file of finished work.

    Raises:
        RunError: If it isn't there, or can't be read.
    """
    value = read_record(path, kind)
    if value is None:
        raise RunError(
            f"{path} is missing or damaged, expected JSON; delete it and config.yaml of its stage, "
            "and run the stage again: it repeats this job only"
        )
    return value
