"""Paths named by a data set: they stay inside its folder, or are refused."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath


class PathEscapeError(ValueError):
    """A path leaves the data set's folder."""


def is_file(path: Path) -> bool:
    """Return whether a regular file is there; False where it can't be told, whatever the reason.

    `Path.is_file` raises for a name that is too long and in a folder that may not be entered.
    """
    return os.path.isfile(path)  # noqa: PTH113


def path_inside(root: Path, base: Path, named: str) -> Path:
    """Return `named`, which is relative to `root / base`, as a path relative to `root`.

    Raises:
        PathEscapeError: If it is absolute, climbs with `..`, is a link that leaves `root`, or
            can't be followed.
    """
    if PurePosixPath(named).is_absolute() or PureWindowsPath(named).anchor:
        raise PathEscapeError(
            f"expected a path inside the data set's folder, got the absolute path {named!r}; "
            "write it relative to the folder"
        )
    relative = PurePosixPath(named.replace("\\", "/"))
    if ".." in relative.parts or "\0" in named:
        raise PathEscapeError(
            f"expected a path inside the data set's folder, got {named!r}; remove '..' from it"
        )
    path = base / relative
    try:
        target = (root / path).resolve()
        target.exists()
    except (OSError, RuntimeError) as error:  # a name too long, a circle of links
        raise PathEscapeError(
            f"expected a path inside the data set's folder, {path.as_posix()[:80]!r} can't be "
            f"followed: {error}; rename or remove it"
        ) from error
    if not target.is_relative_to(root.resolve()):
        raise PathEscapeError(
            f"expected a file inside the data set's folder, but {path.as_posix()!r} is a link "
            "that leaves it; put the file itself there"
        )
    return path


def files_below(root: Path, folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Return the files with one of the (lower-case) suffixes, at any depth, sorted.

    Linked folders are listed as if they were files, so that the caller checks where they
    lead; hidden files (such as macOS's `._x.jpg`) are left out.

    Returns:
        Paths relative to `root`.
    """
    found = []
    for path in sorted((root / folder).rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.relative_to(folder).parts):
            continue
        linked_folder = path.is_symlink() and path.is_dir()
        if linked_folder or (path.suffix.lower() in suffixes and not path.is_dir()):
            found.append(relative)
    return found


def sample_ids(paths: Sequence[Path]) -> list[str]:
    """Return a unique id a file: its stem, with a digest of its path where stems repeat.

    Letters of any script, digits, `_`, `.` and `-` stay; everything else becomes `_`, so that
    ids can be file names anywhere. Case doesn't make a difference, as on many file systems.
    """
    stems = [re.sub(r"[^\w.-]", "_", path.stem).lstrip(".") or "_" for path in paths]
    times = Counter(stem.casefold() for stem in stems)
    return [
        stem
        if times[stem.casefold()] == 1
        else f"{stem}-{hashlib.sha256(path.as_posix().encode()).hexdigest()[:8]}"
        for stem, path in zip(stems, paths, strict=True)
    ]
