"""Files that appear under their final name only when whole, and on the disk.

What is renamed is synced before: after a power cut a name stands for the whole file, or for
the one before it.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from synthdata.errors import DamagedFileError

_TEMPORARY: Final = ".tmp-"
# Files synced side by side share the disk's writes: 16 at once take a tenth of the time.
_SYNC_THREADS: Final = 16


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    The suffix is kept, since image and table writers choose the format by it. On an error
    nothing is left behind.

    Args:
        path: The final name.
        sync: Whether the file is on the disk when the block ends. False is for one of many files,
            which are given to `sync_files` together before anything says that they are there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if sync:
            sync_path(temporary)
        temporary.replace(path)
        if sync:
            sync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{_TEMPORARY}{path.name}-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        sync_tree(temporary)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
        sync_path(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_files(paths: Iterable[Path]) -> None:
    """Return when files and the folders that name them are on the disk."""
    files = list(paths)
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(sync_path, files))
        list(pool.map(sync_path, {file.parent for file in files}))


def sync_tree(folder: Path) -> None:
    """Return when a folder and all in it are on the disk; links in it aren't followed."""
    inside = [path for path in folder.rglob("*") if not path.is_symlink()]
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(sync_path, [*inside, folder]))


def sync_path(path: Path) -> None:
    """Return when a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_temporaries(folder: Path) -> None:
    """Remove what `replacing` and `replacing_dir` left below `folder` when they were killed."""
    for path in list(folder.rglob(f"{_TEMPORARY}*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have lain in another


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # JSON is any tree of values
    """Write indented JSON atomically; NaN is refused, since JSON has none.

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Return the value in a JSON file of ours.

    Raises:
        FileNotFoundError: If there is none.
        DamagedFileError: If it isn't whole.
    """
    with naming_damage(path):
        return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Name the file that the block reads, where it can't be read.

    Raises:
        DamagedFileError: If the block raises what a reader of JSON, tables or arrays raises where
            a file isn't what its name says.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):  # they name it themselves
        raise
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} can't be read ({str(error).splitlines()[0] if str(error) else error!r}); "
            "it was cut, emptied or changed after it was written. Remove it, and the config.yaml "
            "of its stage, and run the stage again: it makes what is missing"
        ) from error


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:  # noqa: ANN401
    """Return the hexadecimal SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    ).hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` by a hard link, or a copy across devices.

    Stage outputs are never edited in place, so that sharing bytes is safe.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with replacing(target, sync=False) as temporary:  # as a link is, by its stage's end
            shutil.copyfile(source, temporary)
