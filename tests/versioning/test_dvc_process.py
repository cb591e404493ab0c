"""The process in which DVC runs: what it opens, and when it ends."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from commands import Command
from synthdata.versioning.dvc import run_dvc


class _Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def _plant(site_cache: Path, marker: Path) -> None:
    """Make every value of the site cache's tables a pickle that runs."""
    tables = list(site_cache.rglob("cache.db"))
    for table in tables:
        with sqlite3.connect(table) as database:
            database.execute(
                "UPDATE Cache SET mode = 4, filename = NULL, value = ?",  # 4: diskcache's pickle
                (pickle.dumps(_Evil(marker)),),
            )
        database.close()


def test_pickles_in_the_shared_site_cache_never_run(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, shared, marker = tmp_path / "project", tmp_path / "shared", tmp_path / "ran"
    (workspace / "data").mkdir(parents=True)
    (workspace / "data" / "a.txt").write_text("a")
    # The default, /var/tmp/dvc, redirected, so that the machine's own isn't touched.
    environment = {"DVC_SITE_CACHE_DIR": str(shared), "DVC_NO_ANALYTICS": "1", "DVC_DAEMON": "1"}

    def plain_dvc(*arguments: str, status: int = 0) -> None:
        program = (sys.executable, "-m", "dvc", *arguments)
        command(*program, cwd=workspace, env=environment, status=status)

    publish = [["add", "data"], ["push"]]
    plain_dvc("init", "--no-scm")
    plain_dvc("remote", "add", "--default", "other", str(tmp_path / "remote"))
    for arguments in publish:
        plain_dvc(*arguments)
    _plant(shared, marker)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(shared))

    run_dvc(publish, workspace)

    assert not marker.exists()
    own = workspace / ".synthdata" / "dvc-site-cache"
    assert list(own.rglob("cache.db"))
    assert own.stat().st_mode & 0o077 == 0
    plain_dvc("push", status=255)  # what would have happened, before DVC stumbles over the value
    assert marker.exists()


def test_modules_in_the_folder_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the workspace')")
    assert run_dvc([["version"]], tmp_path).startswith("DVC version")


def test_dvc_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    # A stage that waits on DVC's standard input, which is the pipe that closes.
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  wait:\n    cmd: echo $PPID > dvc.pid; cat > /dev/null\n"
    )
    code = (
        "from pathlib import Path\n"
        "from synthdata.versioning.dvc import run_dvc\n"
        "run_dvc([['init', '--no-scm'], ['repro']], Path())\n"
    )
    main = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    try:
        pid_file = tmp_path / "dvc.pid"
        deadline = time.monotonic() + 120
        while not pid_file.is_file() or not pid_file.read_text().strip():
            assert main.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        dvc = psutil.Process(int(pid_file.read_text()))
        assert "end_with_parent" in " ".join(dvc.cmdline())
        main.send_signal(signal.SIGKILL)
        main.wait()
        dvc.wait(timeout=20)
    finally:
        main.kill()
        main.wait()
    run_dvc([["status"]], tmp_path)  # its lock is free
