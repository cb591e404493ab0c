"""Two processes never mix two configs in one run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from commands import Command
from runfolder.stages import run_stage
from synthdata.config import load_config
from synthdata.errors import RunError
from synthdata.runfolder import hold_runs

_HOLD = """
import sys
from pathlib import Path
from synthdata.config import load_config
from synthdata.runfolder import hold_runs
with hold_runs([Path(sys.argv[1])], load_config("smoke.yaml", sys.argv[2:])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(out_dir: Path, *overrides: str) -> Iterator[int]:
    """Another process that works in a run; yields its id."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(out_dir), *overrides],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid


def test_another_config_is_refused_and_told_who_holds_the_run(
    tmp_path: Path, command: Command
) -> None:
    out_dir = tmp_path / "runs" / "smoke" / "seed-0" / "train"
    with another_process(out_dir, "train.epochs=110") as pid:
        refused = command("synthdata", "prepare", "smoke.yaml", cwd=tmp_path, status=1)
        assert f"in use with another config, by process {pid}" in refused.stderr
        assert "give the run another name" in refused.stderr
        assert not (tmp_path / "runs" / "smoke" / "seed-0").exists()
        with pytest.raises(RunError, match="in use with another config"):
            run_stage(out_dir.with_name("layout"))
    run_stage(out_dir.with_name("layout"))


def test_the_same_config_shares_the_run(tmp_path: Path) -> None:
    out_dir = tmp_path / "runs" / "smoke" / "seed-0" / "train"
    config = load_config("smoke.yaml")
    with another_process(out_dir), hold_runs([out_dir], config):
        run_stage(out_dir)
        with another_process(out_dir), hold_runs([out_dir], config):
            run_stage(out_dir)


def test_who_came_second_keeps_the_run_when_the_first_is_gone(tmp_path: Path) -> None:
    out_dir = tmp_path / "runs" / "smoke" / "seed-0" / "train"
    with another_process(out_dir), hold_runs([out_dir], load_config("smoke.yaml")):
        pass
    with another_process(out_dir) as second:
        with another_process(out_dir):
            pass
        with pytest.raises(RunError, match=f"process {second} "):
            run_stage(out_dir)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    out_dir = tmp_path / "runs" / "smoke" / "seed-0" / "train"
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(out_dir)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    run_stage(out_dir)


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".layout.lock"),
        pytest.raises(RunError, match="another process works in"),
    ):
        run_stage(tmp_path / "layout")


def test_a_link_to_a_disk_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layout").symlink_to(tmp_path / "unmounted")
    with pytest.raises(RunError, match="is a link to .*unmounted, which isn't there"):
        run_stage(tmp_path / "layout")
