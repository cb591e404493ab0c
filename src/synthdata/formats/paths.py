"""Paths named by a data set: they stay inside its folder, or are refused."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

_MAX_STEM_BYTES = 200


class PathEscapeError(ValueError):
    """A path leaves the data set's folder."""


def is_text(text: str) -> bool:
    """Return whether all of a string is Unicode that a file can hold.

    Half a surrogate pair isn't: JSON can spell one, and Python writes each byte of a file name
    that isn't UTF-8 as one.
    """
    return not any("\ud800" <= character <= "\udfff" for character in text)


def is_file(path: Path) -> bool:
    """Return whether a regular file is there; False where it can't be told, whatever the reason.

    `Path.is_file` raises for a name that is too long and in a folder that may not be entered.
    """
    return os.path.isfile(path)  # noqa: PTH113


def path_inside(root: Path, base: Path, named: str) -> Path:
    """Return `named`, which is relative to `root / base`, as a path relative to `root`.

    Raises:
        PathEscapeError: If it is absolute, climbs with `..`, is a link that leaves `root`, isn't
            Unicode text, or can't be followed.
    """
    if not is_text(named):
        raise PathEscapeError(
            f"expected a path in UTF-8 inside the data set's folder, got {named[:80]!r}; rename it"
        )
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
    # A name that is too long, a folder that may not be entered, a circle of links.
    except (OSError, RuntimeError) as error:
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
        is_folder = os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises, as Path.is_file does
        linked_folder = is_folder and path.is_symlink()
        if linked_folder or (path.suffix.lower() in suffixes and not is_folder):
            found.append(relative)
    return found


def sample_ids(paths: Sequence[Path]) -> list[str]:
    """Return a unique id for each file: its stem, with a digest of its path where stems repeat.

    Letters of any script, digits, `_`, `.` and `-` stay; everything else becomes `_`, so that
    ids can be file names anywhere. Case doesn't make a difference, as on many file systems. A
    stem of more than 200 bytes is cut and gets a digest, since stages add to names.
    """
    stems = [re.sub(r"[^\w.-]", "_", path.stem).lstrip(".") or "_" for path in paths]
    times = Counter(stem.casefold() for stem in stems)
    return [
        stem
        if times[stem.casefold()] == 1 and len(stem.encode()) <= _MAX_STEM_BYTES
        else f"{_cut(stem)}-{hashlib.sha256(path.as_posix().encode()).hexdigest()[:8]}"
        for stem, path in zip(stems, paths, strict=True)
    ]


def _cut(stem: str) -> str:
    return stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore")
