import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from finished_run import NOISE, FinishedRun, finish_run

from synthdata.config.report import ReportConfig
from synthdata.errors import ConfigError, RunError
from synthdata.evaluation import compare_arms
from synthdata.files import read_json, write_json
from synthdata.report import write_report
from synthdata.report.run import in_order, read_run
from synthdata.report.verdict import _standing


def _results(run: FinishedRun) -> pd.DataFrame:
    return pd.DataFrame(
        {"arm": arm, "seed": seed, "map50_95": values["map50_95"]}
        for seed in run.config.seeds
        for arm, values in read_json(run.run_dir / f"seed-{seed}" / "train" / "metrics.json")[
            "arms"
        ].items()
    )


def _report(run: FinishedRun, **changes: Any) -> dict[str, Any]:
    section = run.config.report.model_copy(update=changes)
    return write_report(section, inputs=run.inputs, out_dir=run.run_dir / "report")


def test_the_arms_are_those_of_the_trainings(
    finished: FinishedRun, metrics: dict[str, Any]
) -> None:
    results = _results(finished)
    assert list(metrics["arms"]) == list(NOISE)
    for arm, row in metrics["arms"].items():
        of_arm = results[results["arm"] == arm]["map50_95"]
        assert row["map50_95"] == pytest.approx(of_arm.mean())
        assert row["seeds"] == 4
        assert set(row["per_class"]) == set(metrics["class_names"])
    assert metrics["arms"]["real"]["verdict"] == "reference"
    assert metrics["arms"]["real"]["difference"] is None


def test_differences_are_those_of_compare_arms(
    finished: FinishedRun, metrics: dict[str, Any]
) -> None:
    expected = compare_arms(_results(finished)).set_index("arm")
    for arm in set(metrics["arms"]) - {"real"}:
        row = metrics["arms"][arm]
        assert row["difference"] == pytest.approx(expected.loc[arm, "difference"])
        by_seed = row["difference_by_seed"].values()
        assert sum(by_seed) / len(by_seed) == pytest.approx(row["difference"])
        # Which images were scored is a chance of its own, on top of that of the seeds.
        assert row["high"] - row["low"] != expected.loc[arm, "high"] - expected.loc[arm, "low"]


def test_without_bootstrap_the_intervals_are_those_over_seeds_and_it_is_said(
    finished: FinishedRun, tmp_path: Path
) -> None:
    section = finished.config.report.model_copy(update={"bootstrap_samples": 0})
    found = write_report(section, inputs=finished.inputs, out_dir=tmp_path / "run" / "report")
    expected = compare_arms(_results(finished)).set_index("arm")
    row = found["arms"]["synthetic_filtered"]
    assert row["low"] == pytest.approx(expected.loc["synthetic_filtered", "low"])
    assert any("bootstrap_samples is 0" in text for text in found["warnings"])


def test_contrasts_turn_the_difference_to_the_chosen_arm_round(metrics: dict[str, Any]) -> None:
    arms = metrics["arms"]
    assert [row["against"] for row in metrics["contrasts"]] == [
        "copy_paste",
        "synthetic_random_drop",
    ]
    for row in metrics["contrasts"]:
        gap = arms["synthetic_filtered"]["map50_95"] - arms[row["against"]]["map50_95"]
        assert row["difference"] == pytest.approx(gap)
        assert row["low"] < row["difference"] < row["high"]
        if row["verdict"] == "ahead":
            assert row["low"] > 0


@pytest.mark.parametrize(
    ("difference", "margin", "p_holm", "standing"),
    [
        pytest.param(0.05, 0.03, 0.001, "ahead", id="ahead"),
        pytest.param(0.005, 0.001, 0.001, "level", id="certain, but not worth having"),
        pytest.param(0.005, 0.03, 0.4, "undecided", id="undecided"),
        pytest.param(0.05, 0.03, 0.06, "undecided", id="not after Holm"),
    ],
)
def test_a_baseline_and_the_chosen_arm_are_held_to_the_same_rule(
    difference: float, margin: float, p_holm: float, standing: str
) -> None:
    row = {"difference": difference, "p_holm": p_holm}
    ahead = row | {"low": difference - margin, "high": difference + margin}
    behind = {"low": -ahead["high"], "high": -ahead["low"], "difference": -difference}

    assert _standing(ReportConfig(), ahead) == standing
    mirrored = _standing(ReportConfig(), row | behind)
    assert mirrored == ("behind" if standing == "ahead" else standing)


def test_a_shared_stage_is_timed_once_and_named(
    finished: FinishedRun, metrics: dict[str, Any]
) -> None:
    assert metrics["conditional_on"] == ["prepare", "fit", "layout", "generate", "score", "filter"]
    folder = finished.run_dir / "seed-0"
    assert metrics["timings_s"]["fit"] == 180.0  # its three phases, over all calls
    assert (
        metrics["timings_s"]["prepare"]
        == read_json(folder / "prepare" / "metrics.json")["elapsed_s"]
    )
    assert metrics["timings_s"]["train"] == 4 * 6 * 90.0 / 2  # two trainings side by side
    told = [note["text"] for note in metrics["notes"] if note["topic"] == "Conditional on"]
    assert len(told) == 1
    assert "trained generator" in told[0]


def test_costs_are_those_of_the_stages_an_arm_needs(metrics: dict[str, Any]) -> None:
    arms = metrics["arms"]
    assert arms["real"]["cost_s"] is None
    assert arms["oracle"]["cost_s"] is None
    assert arms["copy_paste"]["cost_s"] == 0.5
    assert arms["synthetic"]["cost_s"] == pytest.approx(220, abs=1)
    assert arms["synthetic_filtered"]["cost_s"] > arms["synthetic"]["cost_s"]
    row = arms["synthetic_filtered"]
    assert row["verdict"] == "helps"
    assert row["cost_s_per_point"] == pytest.approx(row["cost_s"] / (100 * row["difference"]))
    assert arms["synthetic"]["difference"] > 0
    assert arms["synthetic"]["cost_s_per_point"] is None, "a gain that isn't shown has no price"


def test_the_share_of_the_oracles_gain_is_stated_where_it_has_one(
    metrics: dict[str, Any], tmp_path: Path
) -> None:
    arms = metrics["arms"]
    assert arms["oracle"]["verdict"] == "helps"
    assert arms["synthetic"]["oracle_recovery"] == pytest.approx(
        arms["synthetic"]["difference"] / arms["oracle"]["difference"]
    )
    useless = _report(
        finish_run(
            tmp_path,
            seeds=(0, 1),
            arms=("real", "synthetic", "oracle"),
            noise=NOISE | {"oracle": NOISE["real"]},
        )
    )
    assert useless["arms"]["oracle"]["verdict"] != "helps"
    assert useless["arms"]["synthetic"]["oracle_recovery"] is None


def test_one_repetition_has_no_interval_and_no_claim(tmp_path: Path) -> None:
    found = _report(
        finish_run(
            tmp_path, seeds=(3,), shared_through=None, arms=("real", "copy_paste", "synthetic")
        )
    )
    row = found["arms"]["synthetic"]
    assert row["low"] is None
    assert found["verdict"] == "inconclusive"
    assert "not shown to help" in found["headline"]["claim"]
    assert "no interval from one repetition" in found["headline"]["evidence"]
    assert found["conditional_on"] == []
    assert any("fewer than the 5" in text for text in found["warnings"])


def test_where_no_detector_learnt_anything_it_is_said(tmp_path: Path) -> None:
    arms = ("real", "synthetic")
    found = _report(finish_run(tmp_path, seeds=(0, 1), arms=arms, noise=dict.fromkeys(arms, 9.0)))
    assert found["arms"]["real"]["map50_95"] < 0.01
    assert found["verdict"] in {"inconclusive", "no_gain"}
    assert any("nothing can be concluded" in text for text in found["warnings"])


def test_without_a_synthetic_arm_the_report_says_so(tmp_path: Path) -> None:
    found = _report(finish_run(tmp_path, arms=("real", "copy_paste"), seeds=(0, 1)))
    assert found["headline_arm"] is None
    assert "no synthetic arm" in found["headline"]["claim"]
    assert found["contrasts"] == []
    assert (tmp_path / "runs" / "smoke" / "report" / "report.html").is_file()


def test_repetitions_without_sharing_are_conditional_on_nothing(tmp_path: Path) -> None:
    found = _report(
        finish_run(tmp_path, seeds=(0, 1), shared_through=None, arms=("real", "synthetic"))
    )
    assert found["conditional_on"] == []
    assert found["timings_s"]["fit"] == 360.0


def test_looks_at_test_are_passed_on(finished: FinishedRun, tmp_path: Path) -> None:
    look = {"time": "2026-01-01T00:00:00+00:00", "seeds": [0, 1]}
    (tmp_path / "test_looks.jsonl").write_text(json.dumps(look) + "\n", encoding="utf-8")
    found = write_report(
        finished.config.report, inputs=finished.inputs, out_dir=tmp_path / "report"
    )
    assert found["test_looks"] == [look]


def test_a_chosen_arm_that_was_not_trained_is_an_error(finished: FinishedRun) -> None:
    with pytest.raises(ConfigError, match=r"report\.headline is 'nothing'.* real, copy_paste"):
        _report(finished, headline="nothing")


def test_a_missing_stage_is_an_error(finished: FinishedRun) -> None:
    inputs = {k: v for k, v in finished.inputs.items() if k != "seed-2/train"}
    with pytest.raises(RunError, match=r"missing: seed-2/train"):
        read_run(inputs)
    with pytest.raises(RunError, match=r"got 'seed-0/nothing'"):
        read_run({"seed-0/nothing": finished.run_dir})


def test_an_unfinished_stage_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"seed-0/train at .* isn't finished"):
        read_run({"seed-0/train": tmp_path})


def test_repetitions_scored_on_different_splits_are_an_error(tmp_path: Path) -> None:
    run = finish_run(tmp_path, seeds=(0, 1), arms=("real", "synthetic"))
    path = run.inputs["seed-1/train"] / "metrics.json"
    write_json(path, read_json(path) | {"evaluation_split": "test"})
    with pytest.raises(RunError, match=r"scored on different splits \(test, val\)"):
        _report(run)


def test_arms_come_in_a_readers_order() -> None:
    assert in_order({"oracle", "zzz", "synthetic", "real"}) == [
        "real",
        "synthetic",
        "oracle",
        "zzz",
    ]
