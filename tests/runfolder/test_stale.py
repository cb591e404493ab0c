"""Nothing finished is deleted unasked, and what was set aside is found again."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from builders import write_dataset
from commands import Command
from runfolder.stages import jitter, run_stage
from synthdata.config.layout import LayoutConfig
from synthdata.config.version import VersionConfig
from synthdata.files import sha256_file
from synthdata.layout import make_layouts
from synthdata.plan import Step
from synthdata.runfolder import complete_key, list_stale, remove_stale, run_in_folder, set_aside
from synthdata.stages import run_step


class Killed(BaseException):
    """Ends a stage as a signal does."""


def test_jitter_there_and_back_computes_twice(tmp_path: Path) -> None:
    train = write_dataset(tmp_path / "real", num=6)
    out_dir = tmp_path / "runs" / "demo" / "seed-0" / "layout"
    computed = []

    def layout(value: float) -> str:
        section = LayoutConfig(num_layouts=4, jitter=value)

        def work() -> dict[str, object]:
            computed.append(value)
            return make_layouts(section, train=train, out_dir=out_dir)

        run_in_folder("layout", section, inputs={}, out_dir=out_dir, work=work)
        return sha256_file(out_dir / "annotations.json")

    first, other, again = layout(0.05), layout(0.07), layout(0.05)

    assert computed == [0.05, 0.07]
    assert first == again != other
    (stale,) = list_stale(tmp_path / "runs" / "demo")
    assert (stale.stage, stale.seed, stale.finished) == ("layout", 0, True)
    assert stale.path.parent == tmp_path / "runs" / "demo" / ".stale"


def test_an_unfinished_folder_comes_back_and_is_resumed(tmp_path: Path) -> None:
    out_dir = tmp_path / "layout"

    def killed() -> dict[str, object]:
        (out_dir / "half").touch()
        raise Killed

    with pytest.raises(Killed):
        run_stage(out_dir, section=jitter(0.05), work=killed)
    run_stage(out_dir, section=jitter(0.07))
    assert [one.finished for one in list_stale(tmp_path)] == [False]
    assert list_stale(tmp_path)[0].stage == "layout"

    found = run_stage(
        out_dir, section=jitter(0.05), work=lambda: {"resumed": (out_dir / "half").exists()}
    )

    assert found.metrics["resumed"] is True
    assert not found.reused


def test_committing_a_version_leaves_it_as_it_is(tmp_path: Path) -> None:
    out_dir = tmp_path / "runs" / "demo" / "seed-0" / "version"
    run_stage(out_dir, stage="version", section=VersionConfig(dvc=False))
    (out_dir / "edited").write_text("by hand")

    again = run_stage(out_dir, stage="version", section=VersionConfig(dvc=False, commit=True))

    assert again.reused
    assert (out_dir / "edited").read_text() == "by hand"
    assert list_stale(tmp_path / "runs" / "demo") == []


def test_the_reason_and_the_place_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_stage(tmp_path / "layout", section=jitter(0.05))
    with caplog.at_level(logging.WARNING):
        run_stage(tmp_path / "layout", section=jitter(0.07))
    assert "jitter: 0.05 there, 0.07 in the config" in caplog.text
    assert str(tmp_path / ".stale") in caplog.text


def test_a_folder_of_unknown_origin_is_kept_too(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "layout").mkdir(exist_ok=True)
        (tmp_path / "layout" / "mine").write_text(str(number))
        run_stage(tmp_path / "layout")
        shutil.rmtree(tmp_path / "layout")
    kept = sorted(path.read_text() for path in (tmp_path / ".stale").glob("unknown*/mine"))
    assert kept == ["1", "2"]


def test_what_is_finished_comes_back_where_a_library_is_missing(tmp_path: Path) -> None:
    def work() -> dict[str, object]:
        import no_such_library  # type: ignore[import-not-found]

        return {"never": no_such_library}

    run_stage(tmp_path / "layout", section=jitter(0.05))
    key = complete_key(tmp_path / "layout")
    with pytest.raises(ImportError, match="no_such_library"):
        run_stage(tmp_path / "layout", section=jitter(0.07), work=work)
    assert complete_key(tmp_path / "layout") == key


def test_a_repetition_that_is_shared_from_now_on_keeps_its_own(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "demo"
    first, second = run / "seed-0" / "layout", run / "seed-1" / "layout"
    run_stage(first, section=LayoutConfig(seed=0))
    run_stage(second, section=LayoutConfig(seed=1))
    own = complete_key(second)

    run_step(Step("layout", 1, LayoutConfig(seed=0), {}, second, linked_from=first))
    assert second.resolve() == first
    assert [one.path.name for one in list_stale(run)] == [own]

    second.unlink()
    assert run_stage(second, section=LayoutConfig(seed=1)).reused


def test_a_folder_on_another_disk_behind_a_link_is_followed(tmp_path: Path) -> None:
    run, disk = tmp_path / "runs" / "demo", tmp_path / "disk"
    out_dir = run / "seed-0" / "layout"
    run_stage(out_dir, section=jitter(0.05))
    shutil.move(out_dir, disk)
    out_dir.symlink_to(disk)
    made = complete_key(disk)

    assert run_stage(out_dir, section=jitter(0.05)).reused
    assert out_dir.is_symlink()

    run_stage(out_dir, section=jitter(0.07))
    assert not out_dir.is_symlink()
    assert complete_key(disk) == made
    assert run_stage(out_dir, section=jitter(0.05)).reused
    assert out_dir.resolve() == disk

    remove_stale(run)
    set_aside(out_dir)
    remove_stale(run)
    assert complete_key(disk) == made, "what a link points to isn't synthdata's to remove"


def test_a_half_removed_folder_is_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise Killed

    run_stage(tmp_path / "layout", section=jitter(0.05))
    run_stage(tmp_path / "layout", section=jitter(0.07))
    with monkeypatch.context() as dying:
        dying.setattr("shutil.rmtree", killed)
        with pytest.raises(Killed):
            remove_stale(tmp_path)
    assert list_stale(tmp_path) == []
    assert not run_stage(tmp_path / "layout", section=jitter(0.05)).reused
    remove_stale(tmp_path)
    assert not (tmp_path / ".stale").exists()


def test_clean_lists_and_removes_when_told(tmp_path: Path, command: Command) -> None:
    for name in ("one", "two"):
        out_dir = tmp_path / "runs" / name / "seed-0" / "layout"
        for value in (0.05, 0.07):
            run_stage(out_dir, section=jitter(value))

    listed = json.loads(command("synthdata", "clean", "--json", cwd=tmp_path).stdout)
    assert [(one["run"], one["stage"], one["finished"]) for one in listed] == [
        ("one", "layout", True), ("two", "layout", True),
    ]  # fmt: skip
    assert all(one["bytes"] > 0 for one in listed)
    shown = command("synthdata", "clean", "one", cwd=tmp_path).stdout
    assert "one layout seed 0, finished" in shown
    assert "1 folders" in shown
    assert len(list_stale(tmp_path / "runs" / "one")) == 1, "nothing is removed unasked"

    command("synthdata", "clean", "one", "--yes", cwd=tmp_path)
    assert list_stale(tmp_path / "runs" / "one") == []
    assert len(list_stale(tmp_path / "runs" / "two")) == 1
    assert complete_key(tmp_path / "runs" / "one" / "seed-0" / "layout") is not None
    refused = command("synthdata", "clean", "three", cwd=tmp_path, status=1)
    assert "there is no run 'three'" in refused.stderr
