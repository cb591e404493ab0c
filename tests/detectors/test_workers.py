import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.errors import OutOfTimeError, TrainingError

HERE = Path(__file__).parent


def call(folder: Path, order: str) -> WorkerCall:
    folder.mkdir(parents=True)
    (folder / "order.txt").write_text(order)
    return WorkerCall("sleepy_worker", folder, {"PYTHONPATH": str(HERE)})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_on(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
        and "sleepy_worker" in process.info["cmdline"]
    ]


def test_runs_every_call(tmp_path: Path) -> None:
    calls = [call(tmp_path / name, "finish") for name in "abc"]
    done = list(run_workers(calls, num_parallel=2))
    assert sorted(c.job_dir.name for c in done) == ["a", "b", "c"]
    assert all((c.job_dir / "finished").is_file() for c in calls)


def test_a_failure_shows_the_log_and_ends_the_others(tmp_path: Path) -> None:
    calls = [call(tmp_path / "sleeps", "sleep"), call(tmp_path / "fails", "fail")]
    with pytest.raises(TrainingError, match="made of cheese"):
        list(run_workers(calls, num_parallel=2))
    assert workers_on(tmp_path) == []
    assert not (tmp_path / "sleeps" / "finished").exists()


def test_what_runs_at_the_deadline_comes_to_its_end_and_nothing_is_started(tmp_path: Path) -> None:
    calls = [call(tmp_path / name, "doze") for name in "abc"]
    with pytest.raises(OutOfTimeError, match="1 of 3 trainings were not started in time"):
        list(run_workers(calls, num_parallel=2, deadline=time.monotonic() + 1.5))
    assert [(c.job_dir / "finished").exists() for c in calls] == [True, True, False]
    assert not (tmp_path / "c" / "started").exists()
    with pytest.raises(OutOfTimeError, match="3 of 3"):
        list(run_workers(calls, num_parallel=2, deadline=time.monotonic()))


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    call(tmp_path / "job", "sleep")
    code = (
        "from pathlib import Path\n"
        "from synthdata.detectors.workers import WorkerCall, run_workers\n"
        f"job = Path({str(tmp_path / 'job')!r})\n"
        f"list(run_workers([WorkerCall('sleepy_worker', job, {{}})], num_parallel=1))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(HERE)}
    )
    try:
        wait_for((tmp_path / "job" / "started").is_file)
        assert len(workers_on(tmp_path)) == 1
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: workers_on(tmp_path) == [])
