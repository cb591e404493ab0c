"""A version's copy in the workspace, which belongs to the user once they edit it.

What was copied is recorded, file by file, beside the lock. A copy that still is what was copied
is replaced by a new version; one that someone edited never is.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from synthdata.errors import VersioningError
from synthdata.files import replacing_dir, sha256_file, write_json
from synthdata.runfolder import complete_key

_IGNORED = (".tmp-*", "*.cache")  # of a killed run; what ultralytics leaves beside labels
_SHOWN = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Record:
    """What was copied last.

    Attributes:
        key: The stage's key then; empty where the stage had none.
        files: SHA-256 of each file by its path in the folder.
    """

    key: str = ""
    files: Mapping[str, str] | None = None


def copy_version(out_dir: Path, target: Path, *, parts: Sequence[str], marker: Path) -> None:
    """Copy parts of a stage's folder, unless the same content was copied before.

    Args:
        out_dir: The stage's folder.
        target: The copy. It is left as it is, edits and all, while the stage's content stays.
        parts: Names of folders in `out_dir`.
        marker: A file that records what was copied.

    Raises:
        VersioningError: If the content is another and `target` was edited, or isn't known to be
            unedited; nothing is written.
    """
    record, key = _read_record(marker), complete_key(out_dir) or ""
    if target.is_dir() and key and record.key == key:
        logger.info("version: %s is left as it is", target)
        return
    files = _digests([out_dir / part for part in parts], out_dir)
    if target.is_dir() and record.files == files:
        logger.info("version: %s is left as it is, since the version is the same", target)
    else:
        _refuse_edited(target, record, files)
        _copy(out_dir, target, parts)
    write_json(marker, asdict(_Record(key, files)))


def _read_record(marker: Path) -> _Record:
    """Return what was copied last; nothing is known where the record can't be read."""
    try:
        found = json.loads(marker.read_text("utf-8"))
        return _Record(str(found["key"]), dict(found["files"]))
    except (OSError, ValueError, TypeError, KeyError):
        return _Record()


def _digests(folders: Sequence[Path], root: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below the folders by its path in `root`."""
    by_inode: dict[tuple[int, int], str] = {}  # arms share images by hard links
    found = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if not path.is_file() or any(path.match(pattern) for pattern in _IGNORED):
            continue
        status = path.stat()
        inode = (status.st_dev, status.st_ino)
        by_inode[inode] = by_inode.get(inode) or sha256_file(path)
        found[path.relative_to(root).as_posix()] = by_inode[inode]
    return found


def _refuse_edited(target: Path, record: _Record, files: Mapping[str, str]) -> None:
    """Refuse to replace a folder in which a file is neither what was copied nor what will be.

    Raises:
        VersioningError: With the files.
    """
    if not target.is_dir():
        return
    copied, there = record.files or {}, _digests([target], target)
    edited = [
        name
        for name in sorted(copied.keys() | there.keys() | files.keys())
        if there.get(name) not in (copied.get(name), files.get(name))
    ]
    if edited:
        more = f" and {len(edited) - _SHOWN} more" if len(edited) > _SHOWN else ""
        why = "was edited" if record.files else "isn't known to be unedited"
        raise VersioningError(
            f"{target} {why}, and the new version isn't the one it was copied from; it stays as "
            f"it is. Its own: {', '.join(edited[:_SHOWN])}{more}. To keep it, give the run "
            "another name (name=...) or move the folder away; to do without it, remove it"
        )


def _copy(out_dir: Path, target: Path, parts: Sequence[str]) -> None:
    for leftover in target.parent.glob(f".tmp-{target.name}-*"):  # of a killed run
        shutil.rmtree(leftover)
    with replacing_dir(target) as temporary:
        for part in parts:
            shutil.copytree(
                out_dir / part, temporary / part, ignore=shutil.ignore_patterns(*_IGNORED)
            )
