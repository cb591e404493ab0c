import json
from pathlib import Path

import pytest

from synthdata.errors import RunError
from synthdata.verdict_log import VERDICTS, count_extensions, log_verdict

IDS = {"digest": "images-1", "experiment": "config-1"}


def test_the_first_verdict_extends_none(tmp_path: Path) -> None:
    assert count_extensions(tmp_path, seeds=[0, 1], **IDS) == 0
    log_verdict(tmp_path, seeds=[0, 1], **IDS)
    assert count_extensions(tmp_path, seeds=[0, 1], **IDS) == 0


def test_each_addition_of_seeds_counts_once(tmp_path: Path) -> None:
    for end, expected in ((3, 0), (5, 1), (10, 2)):
        seeds = range(end)
        assert count_extensions(tmp_path, seeds=seeds, **IDS) == expected
        log_verdict(tmp_path, seeds=seeds, **IDS)
        log_verdict(tmp_path, seeds=reversed(seeds), **IDS)  # the same report, written again
        assert count_extensions(tmp_path, seeds=seeds, **IDS) == expected
    rows = [json.loads(line) for line in (tmp_path / VERDICTS).read_text().splitlines()]
    assert [row["seeds"] for row in rows] == [list(range(end)) for end in (3, 5, 10)]
    assert set(rows[0]) == {"time", "digest", "experiment", "seeds"}
    # what came first has still extended none
    assert count_extensions(tmp_path, seeds=range(3), **IDS) == 0


def test_another_experiment_or_other_images_count_for_themselves(tmp_path: Path) -> None:
    log_verdict(tmp_path, seeds=[0, 1], **IDS)
    for changed in ({"digest": "images-2"}, {"experiment": "config-2"}):
        assert count_extensions(tmp_path, seeds=[0, 1, 2], **IDS | changed) == 0
    assert count_extensions(tmp_path, seeds=[0, 1, 2], **IDS) == 1


def test_only_strict_subsets_are_extended(tmp_path: Path) -> None:
    log_verdict(tmp_path, seeds=[0, 7], **IDS)
    assert count_extensions(tmp_path, seeds=[0, 1, 2], **IDS) == 0
    assert count_extensions(tmp_path, seeds=[0, 1, 7], **IDS) == 1


def test_a_verdict_on_fewer_seeds_that_came_later_is_no_extension(tmp_path: Path) -> None:
    log_verdict(tmp_path, seeds=[0, 1, 2], **IDS)
    log_verdict(tmp_path, seeds=[0, 1], **IDS)
    assert count_extensions(tmp_path, seeds=[0, 1, 2], **IDS) == 0


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    log_verdict(tmp_path, seeds=[0], **IDS)
    log = tmp_path / VERDICTS
    log.write_text("nonsense\n" + log.read_text())
    with pytest.raises(RunError, match=r"verdicts\.jsonl, line 1"):
        count_extensions(tmp_path, seeds=[0, 1], **IDS)
