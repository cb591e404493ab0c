"""Where what is delivered goes: nothing that is there is written over."""

from pathlib import Path

from synthdata.errors import DeliveryError


def refuse_existing(*paths: Path) -> None:
    """Refuse to write over something.

    Raises:
        DeliveryError: If a path is there.
    """
    for path in paths:
        if path.exists():
            raise DeliveryError(f"{path} is there already; name another with --out, or remove it")


def fresh_folder(parent: Path, name: str) -> Path:
    """Return a folder that isn't there yet: `parent/name`, or `parent/name-2` and so on."""
    path, number = parent / name, 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path
