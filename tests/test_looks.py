import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from synthdata.config import load_config
from synthdata.errors import RunError
from synthdata.looks import LOOKS, log_look, open_held_out, read_looks


def look(workspace: Path, **changes: object) -> None:
    values = {
        "digest": "images-1", "evaluation_set": "test", "run": "first", "seed": 0, "opening": "a",
    } | changes  # fmt: skip
    log_look(workspace, **values)  # type: ignore[arg-type]


def test_a_workspace_without_looks(tmp_path: Path) -> None:
    assert read_looks(tmp_path, digest="images-1") == []


def test_repetitions_of_one_command_are_one_look(tmp_path: Path) -> None:
    for seed in (2, 0, 1, 0):
        look(tmp_path, seed=seed)
    (found,) = read_looks(tmp_path, digest="images-1")
    assert (found.run, found.evaluation_set, found.digest) == ("first", "test", "images-1")
    assert (found.seeds, found.opening) == ((0, 1, 2), "a")
    assert found.time.utcoffset() is not None
    assert json.loads(json.dumps(found.to_json()))["seeds"] == [0, 1, 2]


def test_looks_are_counted_by_the_images_over_all_runs(tmp_path: Path) -> None:
    look(tmp_path)
    look(tmp_path, opening="b")  # other settings
    look(tmp_path, run="second")  # another name starts no new count
    look(tmp_path, run="second", evaluation_set="other-camera", digest="images-2")
    found = read_looks(tmp_path, digest="images-1")
    assert [(one.run, one.opening) for one in found] == [
        ("first", "a"), ("first", "b"), ("second", "a"),
    ]  # fmt: skip
    (shifted,) = read_looks(tmp_path, digest="images-2")
    assert shifted.evaluation_set == "other-camera"


def test_the_log_has_one_object_per_line(tmp_path: Path) -> None:
    look(tmp_path)
    look(tmp_path, seed=1)
    lines = (tmp_path / "runs" / LOOKS).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [0, 1]
    assert set(json.loads(lines[0])) == {
        "time", "run", "evaluation_set", "digest", "seed", "opening",
    }  # fmt: skip


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_a_last_line_torn_by_a_power_cut_is_reported_and_ignored(
    kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    look(tmp_path)
    log = tmp_path / "runs" / LOOKS
    whole = log.read_bytes()
    log.write_bytes(whole + whole.removesuffix(b"\n")[:kept])
    with caplog.at_level(logging.WARNING):
        (found,) = read_looks(tmp_path, digest="images-1")
    assert found.seeds == (0,)
    assert str(log) in caplog.text
    # the next row doesn't run into it
    look(tmp_path, seed=1)
    caplog.clear()
    (found,) = read_looks(tmp_path, digest="images-1")
    assert found.seeds == (0, 1)
    assert not caplog.records


def test_a_row_that_lacks_its_line_end_only_is_kept(tmp_path: Path) -> None:
    look(tmp_path)
    log = tmp_path / "runs" / LOOKS
    log.write_bytes(log.read_bytes().removesuffix(b"\n"))
    look(tmp_path, seed=1)
    (found,) = read_looks(tmp_path, digest="images-1")
    assert found.seeds == (0, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param('{"time": ', "line 2", id="torn in the middle"),
        pytest.param("", "line 2", id="empty"),
        pytest.param('{"run": "first"}', "line 2.*time", id="lacks a value"),
        pytest.param("[1]", "line 2", id="no object"),
        pytest.param("\x00\x00", "line 2", id="zeros"),
    ],
)
def test_another_unreadable_line_is_an_error_that_names_it(
    line: str, message: str, tmp_path: Path
) -> None:
    look(tmp_path)
    log = tmp_path / "runs" / LOOKS
    row = log.read_text(encoding="utf-8")
    log.write_text(row + line + "\n" + row, encoding="utf-8")
    with pytest.raises(RunError, match=message) as error:
        read_looks(tmp_path, digest="images-1")
    assert str(log) in str(error.value)


def test_a_whole_last_line_of_another_shape_is_an_error(tmp_path: Path) -> None:
    look(tmp_path)
    with (tmp_path / "runs" / LOOKS).open("a", encoding="utf-8") as log:
        log.write('{"run": "first"}\n')
    with pytest.raises(RunError, match="line 2"):
        read_looks(tmp_path, digest="images-1")


def test_processes_may_log_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synthdata.looks import log_look\n"
        "for seed in range(25):\n"
        "    log_look(Path(sys.argv[1]), digest='d', evaluation_set='test', run=sys.argv[2],"
        " seed=seed, opening='a')\n"
    )
    runs = ("first", "second", "third")
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), run]) for run in runs]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    found = read_looks(tmp_path, digest="d")
    assert {one.run: one.seeds for one in found} == dict.fromkeys(runs, tuple(range(25)))


@pytest.mark.parametrize(("test", "split"), [(True, "test"), (False, "val")])
def test_opening_held_out_sets_changes_nothing_else(tmp_path: Path, test: bool, split: str) -> None:
    config = load_config("smoke.yaml")
    opened = open_held_out(config, test=test)
    assert opened.train.evaluation_split == split
    assert opened.train.shifted
    back = opened.model_copy(update={"train": config.train})
    assert back == config
    assert not list(tmp_path.iterdir())
