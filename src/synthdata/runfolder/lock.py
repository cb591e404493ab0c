"""Locks: two processes never work in one stage's folder, nor with two configs in one run.

The kernel holds them, so that a killed process leaves none behind.
"""

import fcntl
import os
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from filelock import FileLock, Timeout
from pydantic import BaseModel

from synthdata.errors import RunError
from synthdata.files import sha256_json
from synthdata.runfolder.record import run_dir_of

RUN_LOCK: Final = ".lock"
_ALONE: Final = "alone"


class _Held:
    """The runs that this process holds, and how often it entered each."""

    def __init__(self) -> None:
        self.threads = threading.Lock()
        self.files: dict[Path, IO[str]] = {}
        self.depths: dict[Path, int] = {}


_held = _Held()


@contextmanager
def lock_folder(out_dir: Path) -> Iterator[None]:
    """Hold a stage's folder, which is made where it is missing.

    Raises:
        RunError: If another process works in it, or it is a link to nowhere.
    """
    if out_dir.is_symlink() and not out_dir.exists():
        raise RunError(
            f"{out_dir} is a link to {out_dir.readlink()}, which isn't there; mount it, or remove "
            "the link to make the stage anew"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out_dir.parent / f".{out_dir.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"another process works in {out_dir}; wait for it, or give the run another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_runs(out_dirs: Iterable[Path], config: BaseModel) -> Iterator[None]:
    """Hold the runs that stage folders belong to, for a command with this config.

    Processes with the same config share a run; one with another config is refused.

    Raises:
        RunError: If a run is held with another config; the message names who holds it.
    """
    identity = sha256_json(config.model_dump(mode="json"))
    with ExitStack() as stack:
        for run_dir in sorted({run_dir_of(out_dir) for out_dir in out_dirs}):
            stack.enter_context(hold_run(run_dir, identity))
        yield


@contextmanager
def hold_run(run_dir: Path, identity: str = _ALONE) -> Iterator[None]:
    """Hold a run, unless this process holds it already.

    Args:
        run_dir: Its folder, made where it is missing.
        identity: Processes with the same one share the run; without one it is held alone.

    Raises:
        RunError: If another process holds it with another identity.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir.resolve() / RUN_LOCK
    with _held.threads:
        if path not in _held.files:
            _held.files[path] = _acquire(path, identity)
        _held.depths[path] = _held.depths.get(path, 0) + 1
    try:
        yield
    finally:
        with _held.threads:
            _held.depths[path] -= 1
            if not _held.depths[path]:
                _held.files.pop(path).close()
                del _held.depths[path]


def _acquire(path: Path, identity: str) -> IO[str]:
    """Return the run's lock file, locked; its lines are the identity and who holds the run."""
    file = path.open("a+", encoding="utf-8")
    # Who is alone writes the identity, before another can come in and share the lock.
    with FileLock(path.with_name(f"{RUN_LOCK}.entry")):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f"{identity}\n")
        except BlockingIOError:
            file.seek(0)
            first, *holders = file.read().splitlines()
            if identity == _ALONE or first != identity:
                file.close()
                raise RunError(
                    f"{path.parent} is in use with another config, by {' and '.join(holders)}; "
                    "wait for that, or give the run another name"
                ) from None
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {now} ({command})\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_SH)
    return file
