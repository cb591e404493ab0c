"""What a search finds in its folder, before the first training."""

import logging
from pathlib import Path
from typing import Any

import pytest
from search_configs import search_config

from synthdata.errors import ConfigError, OutOfTimeError, RunError
from synthdata.runfolder import lock_folder
from synthdata.search.run import search_recipes
from synthdata.search.study import STUDY, Rung, Study


def out_of_time(workspace: Path, **search: Any) -> Study:
    """Search for no time at all, and return the study that is there."""
    config = search_config(workspace, **search)
    with pytest.raises(OutOfTimeError, match="stage prepare of seed 100 was not started"):
        search_recipes(config, source="mine.yaml", workspace=workspace, max_hours=0)
    return Study(workspace / "runs" / "mine-search" / STUDY)


def test_another_search_sets_the_study_aside_and_the_earlier_finds_it_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = out_of_time(tmp_path)
    first.record_reference(0, Rung(1, 3, {100: 0.5}, {100: {}}))
    first.close()
    (tmp_path / "runs" / "mine-search" / "trials.csv").write_text("of the first")

    with caplog.at_level(logging.WARNING):
        other = out_of_time(tmp_path, keep=0.3)

    assert "is of another search (settings, data, code or libraries); it is kept in" in caplog.text
    assert other.identity != first.identity
    assert other.reference(0) is None
    assert not (tmp_path / "runs" / "mine-search" / "trials.csv").exists()
    other.close()
    back = out_of_time(tmp_path)
    assert "was set aside, and is found again" in caplog.text
    assert back.identity == first.identity
    assert back.reference(0) is not None
    assert (tmp_path / "runs" / "mine-search" / "trials.csv").read_text() == "of the first"
    back.close()
    (only,) = (tmp_path / "runs" / "mine-search" / ".stale").iterdir()
    assert only.name == other.identity


def test_one_search_at_a_time(tmp_path: Path) -> None:
    config = search_config(tmp_path)
    with (
        lock_folder(tmp_path / "runs" / "mine-search"),
        pytest.raises(RunError, match="another process works in .*mine-search"),
    ):
        search_recipes(config, source="mine.yaml", workspace=tmp_path, max_hours=0)


def test_what_cannot_be_searched_leaves_no_folder(tmp_path: Path) -> None:
    without = search_config(tmp_path).model_copy(update={"search": None})
    with pytest.raises(ConfigError, match="no section search"):
        search_recipes(without, source="mine.yaml", workspace=tmp_path)
    short = {"phases": [{"steps": 0.1}, {"steps": 0.9, "learning_rate": 0.1}]}
    spaces = [
        {"family": "free", "arm": short},
        {"family": "synthetic", "arm": {"extra": {"synthetic": 0.5}}},
    ]
    with pytest.raises(ConfigError, match="a phase of less than one of the 1 epochs"):
        search_recipes(search_config(tmp_path, spaces), source="mine.yaml", workspace=tmp_path)
    assert not (tmp_path / "runs").exists()
