"""The advice of a report: by a search's scores, or by the run's own."""

from pathlib import Path

import pytest
from finished_run import FinishedRun, finish_run

from synthdata import advise
from synthdata.errors import ConfigError
from synthdata.report.markdown import render_markdown

ARMS = ("real", "copy_paste", "synthetic", "oracle")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("advised")
    return finish_run(folder, seeds=(0, 1, 2, 3), arms=ARMS, contrasts=[("synthetic", "real")])


def test_the_runs_own_scores_choose_without_an_interval(run: FinishedRun) -> None:
    found = run.report()["advice"]
    expected = advise(
        run.results,
        arms={"real": "reference", "copy_paste": "free", "synthetic": "candidate"},
        titles={"copy_paste": "Copy-paste", "real": "Real only"},
    )
    assert (found["arm"], found["sentence"]) == (expected.arm, expected.sentence)
    assert found["arm"] == "copy_paste", "the least noise but the ceiling's"
    assert (found["low"], found["verdict"], found["chosen_by"]) == (None, None, "val")


def test_what_such_a_choice_brings_is_told_by_cross_fitting(run: FinishedRun) -> None:
    metrics = run.report()
    crossed = metrics["advice"]["cross_fit"]
    assert set(crossed["chosen"]) <= set(ARMS) - {"oracle"}
    assert crossed["gain"]["low"] < crossed["gain"]["value"] < crossed["gain"]["high"]
    assert crossed["regret"]["value"] >= 0
    note = next(note for note in metrics["notes"] if note["topic"] == "Choice")
    assert f"{crossed['gain']['value']:+.3f}" in note["text"]


def test_a_searchs_scores_choose_and_other_images_judge(run: FinishedRun, tmp_path: Path) -> None:
    selection = {
        "real": {100: 0.4, 101: 0.41},
        "copy_paste": {100: 0.4, 101: 0.42},
        "synthetic": {100: 0.5, 101: 0.51},
    }
    # On val, where the search chose, nothing judges, be the seeds ever so fresh.
    metrics = run.report(selection=selection)
    found = metrics["advice"]
    assert (found["arm"], found["best_free"], found["chosen_by"]) == ("synthetic", "real", "search")
    assert (found["low"], found["verdict"], found["cross_fit"]) == (None, None, None)
    assert "on the images that chose it" in found["sentence"]
    (note,) = (note["text"] for note in metrics["notes"] if note["topic"] == "Choice")
    assert "Only other images can say what it brings" in note

    opened = finish_run(
        tmp_path, seeds=(0, 1, 2), arms=ARMS, contrasts=[("synthetic", "real")], split="test"
    )
    metrics = opened.report(selection=selection)
    found = metrics["advice"]
    (contrast,) = metrics["contrasts"]
    assert found["gain"] == pytest.approx(contrast["difference"])
    assert (found["low"], found["high"]) == pytest.approx((contrast["low"], contrast["high"]))
    assert found["verdict"] == contrast["verdict"]
    assert found["cross_fit"] is None


def test_arms_that_were_not_searched_are_not_advised(run: FinishedRun) -> None:
    selection = {"real": {100: 0.4, 101: 0.41}, "synthetic": {100: 0.4, 101: 0.3}}
    assert run.report(selection=selection)["advice"]["arm"] == "real"


def test_the_advice_comes_first(run: FinishedRun) -> None:
    metrics = run.report()
    sentence = metrics["advice"]["sentence"]
    assert render_markdown(metrics).startswith(f"# {sentence}\n")
    assert (run.run_dir / "report" / "verdict.md").read_text().startswith(f"# {sentence}\n")


def test_one_repetition_has_no_halves(tmp_path: Path) -> None:
    one = finish_run(
        tmp_path, seeds=(3,), shared_through=None, arms=("real", "copy_paste"), contrasts=[]
    )
    metrics = one.report()
    assert metrics["advice"]["cross_fit"] is None
    assert any("too few seeds or images" in note["text"] for note in metrics["notes"])


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("{real: {0: 0.4}, copy_paste: {0: 0.5}}", r"seeds \[0\], which are the run's own"),
        ("{copy_paste: {100: 0.5}}", "lacks the reference 'real'"),
        ("{real: {100: 0.4}, pasted: {100: 0.5}}", "names arm 'pasted'"),
    ],
)
def test_a_selection_that_does_not_fit_is_refused(
    tmp_path: Path, selection: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        finish_run(
            tmp_path, arms=("real", "copy_paste"), overrides=(f"report.selection={selection}",)
        )
