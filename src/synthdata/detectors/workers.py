"""Runs detector workers side by side and never leaves one behind.

A worker holds the reading end of a pipe whose writing end is ours: when this process dies, even
by `kill -9`, the pipe closes and the worker ends itself (see `synthdata.lifeline`).
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from synthdata.errors import OutOfTimeError, TrainingError

LOG = "log.txt"
_TAIL_LINES = 15


@dataclass(frozen=True)
class WorkerCall:
    """One worker process to run.

    Attributes:
        module: Run as `python -m <module> <job_dir>`.
        job_dir: The job's folder; the log goes there too.
        environment: Added to this process's environment.
    """

    module: str
    job_dir: Path
    environment: Mapping[str, str]


def run_workers(
    calls: Sequence[WorkerCall], *, num_parallel: int, deadline: float | None = None
) -> Iterator[WorkerCall]:
    """Run the workers, `num_parallel` at once, and yield each call when it is done.

    Args:
        calls: The workers.
        num_parallel: How many run side by side.
        deadline: None is started after it, and those that run come to their end; a time of
            `time.monotonic`, in seconds.

    Raises:
        TrainingError: If a worker fails; the others are ended first.
        OutOfTimeError: If the deadline kept one from its start; all others are done.
    """
    waiting = deque(calls)
    running: list[tuple[WorkerCall, subprocess.Popen[bytes]]] = []
    try:
        while running or (waiting and not _is_past(deadline)):
            while waiting and len(running) < num_parallel and not _is_past(deadline):
                call = waiting.popleft()
                running.append((call, _start(call)))
            done = [(call, process) for call, process in running if process.poll() is not None]
            if not done:
                time.sleep(0.05)
            for call, process in done:
                running.remove((call, process))
                _close(process)
                if process.returncode != 0:
                    raise TrainingError(_failure(call, process.returncode))
                yield call
    finally:
        for _, process in running:
            process.kill()
            process.wait()
            _close(process)
    if waiting:
        raise OutOfTimeError(f"{len(waiting)} of {len(calls)} trainings were not started in time")


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _start(call: WorkerCall) -> subprocess.Popen[bytes]:
    call.job_dir.mkdir(parents=True, exist_ok=True)
    with (call.job_dir / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", call.module, str(call.job_dir.absolute())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_bytecode_cache(), **call.environment},
            start_new_session=True,  # Ctrl-C reaches us only, and we end the workers
        )


def _bytecode_cache() -> dict[str, str]:
    """Return where workers keep compiled modules, if this process may not write them.

    Without them each worker compiles thousands of modules anew, for ten seconds or so.
    """
    if not sys.dont_write_bytecode:
        return {}
    folder = user_cache_path("synthdata") / "bytecode"
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _failure(call: WorkerCall, status: int) -> str:
    log = call.job_dir / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
    return f"{call.module} failed with status {status}; the end of {log}:\n{tail}"
