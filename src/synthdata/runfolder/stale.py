"""Stage folders set aside: nothing finished is deleted unasked.

A folder whose key isn't the one asked for is renamed to `runs/<name>/.stale/<key>`, finished or
not. Who goes back to the earlier config finds it by its key, and a rename brings it back.
"""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from synthdata.errors import DamagedFileError, RunError
from synthdata.runfolder.lock import hold_run, lock_folder
from synthdata.runfolder.record import (
    CONFIG,
    complete_key,
    read_key,
    read_record,
    read_stage,
    run_dir_of,
)

STALE: Final = ".stale"
_REMOVED: Final = ".tmp-"
_UNKNOWN: Final = "unknown"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StaleFolder:
    """A stage's folder that was set aside.

    Attributes:
        path: Where it lies.
        run: The run's name.
        stage: Its stage; empty where it isn't known.
        seed: Its repetition; None where it isn't known, and for the report.
        finished: Whether the stage was finished.
        num_bytes: Size of its files; one that other folders share by hard links counts too.
        modified: When the stage ended, or began where it isn't finished.
    """

    path: Path
    run: str
    stage: str
    seed: int | None
    finished: bool
    num_bytes: int
    modified: datetime

    def __str__(self) -> str:
        seed = "" if self.seed is None else f" seed {self.seed}"
        state = "finished" if self.finished else "unfinished"
        return (
            f"{self.modified:%Y-%m-%d %H:%M} {self.num_bytes / 1e6:10.1f} MB  {self.run} "
            f"{self.stage or 'unknown stage'}{seed}, {state}, {self.path.name[:12]}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "path": self.path.as_posix(), "run": self.run, "stage": self.stage,
            "seed": self.seed, "finished": self.finished, "bytes": self.num_bytes,
            "modified": self.modified.isoformat(timespec="seconds"),
        }  # fmt: skip


def set_aside(out_dir: Path) -> Path | None:
    """Move a stage's folder, finished or not, out of the way of another's.

    Returns:
        Where it lies now; None where there was nothing to keep.

    Raises:
        RunError: If another process works in the folder.
    """
    with hold_run(run_dir_of(out_dir)), lock_folder(out_dir):
        return move_aside(out_dir)


def move_aside(out_dir: Path) -> Path | None:
    """Do what `set_aside` does, in a folder that this process has locked."""
    if not any(out_dir.iterdir()):
        out_dir.unlink() if out_dir.is_symlink() else out_dir.rmdir()
        return None
    shelf = run_dir_of(out_dir) / STALE
    shelf.mkdir(exist_ok=True)
    name = read_key(out_dir) or _UNKNOWN
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    target = next(shelf / one for one in names if not (shelf / one).exists())
    if out_dir.is_symlink():  # a folder that the user moved elsewhere stays there
        target.symlink_to(out_dir.resolve())
        out_dir.unlink()
    else:
        out_dir.rename(target)
    return target


def is_set_aside(out_dir: Path, key: str) -> bool:
    """Return whether a folder of that key was set aside in a stage folder's run."""
    return (run_dir_of(out_dir) / STALE / key).is_dir()


def bring_back(out_dir: Path, key: str) -> bool:
    """Return whether a folder of that key was set aside, and give it its place again."""
    if not is_set_aside(out_dir, key):
        return False
    (run_dir_of(out_dir) / STALE / key).rename(out_dir)
    return True


def find_runs(workspace: Path, name: str | None = None) -> list[Path]:
    """Return the folders of the runs in a workspace, or of the named one.

    Raises:
        RunError: If there is no run of that name.
    """
    runs = sorted(path for path in (workspace / "runs").glob("*/") if name in (None, path.name))
    if name is not None and not runs:
        raise RunError(f"there is no run {name!r} in {workspace / 'runs'}")
    return runs


def list_stale(run_dir: Path) -> list[StaleFolder]:
    """Return what a run has set aside, the latest first."""
    shelf = run_dir / STALE
    found = [
        _describe(path, run_dir.name)
        for path in (shelf.iterdir() if shelf.is_dir() else ())
        if path.is_dir() and not path.name.startswith(_REMOVED)
    ]
    return sorted(found, key=lambda one: (one.modified, one.path), reverse=True)


def remove_stale(run_dir: Path) -> None:
    """Remove all that a run has set aside; of a link, what it points to stays.

    Raises:
        RunError: If another process holds the run, or something can't be removed.
    """
    with hold_run(run_dir):
        _remove(run_dir)


def _remove(run_dir: Path) -> None:
    shelf = run_dir / STALE
    for path in list(shelf.iterdir()) if shelf.is_dir() else ():
        # First its name: half a folder must not be found by its key.
        going = path.with_name(f"{_REMOVED}{path.name.removeprefix(_REMOVED)}")
        try:
            path.rename(going)
            going.unlink() if going.is_symlink() else shutil.rmtree(going)
        except OSError as error:
            raise RunError(f"{path} can't be removed: {error}; remove it by hand") from error
    if shelf.is_dir():
        shelf.rmdir()


def _describe(path: Path, run: str) -> StaleFolder:
    finished = complete_key(path) is not None
    try:
        record = read_record(path) if finished else {}
    except DamagedFileError:
        record = {}
    stage = str(record.get("stage") or read_stage(path))
    last = path / CONFIG if finished else path
    return StaleFolder(
        path=path,
        run=run,
        stage=stage,
        seed=None if stage == "report" else record.get("section", {}).get("seed"),
        finished=finished,
        num_bytes=sum(_sizes(path)),
        modified=datetime.fromtimestamp(last.stat().st_mtime, UTC),
    )


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the size of each file in a folder; a file with two names in it counts once."""
    files = (path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    yield from {state.st_ino: state.st_size for state in files}.values()
