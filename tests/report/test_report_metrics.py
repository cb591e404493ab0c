from pathlib import Path
from typing import Any

import pytest
from finished_run import NOISE, FinishedRun, finish_run

from synthdata import compare_arms
from synthdata.errors import RunError
from synthdata.files import read_json, write_json
from synthdata.report import write_report
from synthdata.report.run import read_run


def test_the_arms_are_those_of_the_trainings(
    finished: FinishedRun, metrics: dict[str, Any]
) -> None:
    results = finished.results
    assert list(metrics["arms"]) == list(NOISE)
    means = results.groupby("arm")["map50_95"].mean()
    for arm, row in metrics["arms"].items():
        assert row["map50_95"] == pytest.approx(means[arm])
        assert row["seeds"] == 4
        assert set(row["per_class"]) == set(metrics["class_names"])
        if row["role"] == "reference":
            assert row["difference"] is None
        else:
            assert row["difference"] == pytest.approx(means[arm] - means["real"])
    roles = {arm: row["role"] for arm, row in metrics["arms"].items()}
    assert roles == {
        "real": "reference", "copy_paste": "free", "synthetic": "candidate",
        "synthetic_filtered": "candidate", "synthetic_random_drop": "candidate",
        "oracle": "ceiling",
    }  # fmt: skip


def test_contrasts_are_those_of_compare_arms(
    finished: FinishedRun, metrics: dict[str, Any]
) -> None:
    contrasts = list(finished.config.contrasts)
    expected = compare_arms(finished.results, contrasts=contrasts)
    assert [(row["arm"], row["against"]) for row in metrics["contrasts"]] == contrasts
    for row, other in zip(metrics["contrasts"], expected.to_dict("records"), strict=True):
        assert row["difference"] == pytest.approx(other["difference"])
        by_seed = row["difference_by_seed"].values()
        assert sum(by_seed) / len(by_seed) == pytest.approx(row["difference"])
        assert row["high"] - row["low"] >= other["high"] - other["low"]
        assert row["p"] >= other["p"]
    # Which images were scored is a chance of its own, on top of that of the seeds.
    assert any(
        row["p"] > other["p"]
        for row, other in zip(metrics["contrasts"], expected.to_dict("records"), strict=True)
    )


def test_a_ceiling_is_shown_and_changes_no_verdict(
    metrics: dict[str, Any], finished: FinishedRun, tmp_path: Path
) -> None:
    arms = {name: arm for name, arm in finished.section.arms.items() if arm.role != "ceiling"}
    section = finished.section.model_copy(update={"arms": arms})
    without = write_report(section, inputs=finished.inputs, out_dir=tmp_path / "run" / "report")
    assert without["contrasts"] == metrics["contrasts"]
    assert "oracle" not in without["arms"]


def test_without_bootstrap_the_intervals_are_those_over_seeds_and_it_is_said(
    finished: FinishedRun, tmp_path: Path
) -> None:
    section = finished.section.model_copy(update={"bootstrap_samples": 0})
    found = write_report(section, inputs=finished.inputs, out_dir=tmp_path / "run" / "report")
    expected = compare_arms(finished.results, contrasts=finished.config.contrasts)
    assert [row["low"] for row in found["contrasts"]] == pytest.approx(list(expected["low"]))
    assert any("bootstrap_samples is 0" in text for text in found["warnings"])


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
    to_real, *others = metrics["contrasts"]
    assert to_real["verdict"] == "helps"
    seconds = arms[to_real["arm"]]["cost_s"]
    assert to_real["cost_s_per_point"] == pytest.approx(seconds / (100 * to_real["difference"]))
    assert all(row["cost_s_per_point"] is None for row in others), "what the reference gains only"


def test_the_share_of_a_ceilings_gain_is_stated_where_it_has_one(
    metrics: dict[str, Any], tmp_path: Path
) -> None:
    arms = metrics["arms"]
    assert metrics["recovery"]["oracle"]["synthetic"] == pytest.approx(
        arms["synthetic"]["difference"] / arms["oracle"]["difference"]
    )
    useless = finish_run(
        tmp_path,
        seeds=(0, 1),
        arms=("real", "synthetic", "oracle"),
        noise=NOISE | {"oracle": NOISE["real"]},
    ).report()
    assert useless["recovery"] == {}


def test_one_repetition_has_no_interval_and_no_claim(tmp_path: Path) -> None:
    found = finish_run(
        tmp_path,
        seeds=(3,),
        shared_through=None,
        arms=("real", "copy_paste", "synthetic"),
        contrasts=[("synthetic", "real")],
    ).report()
    assert found["contrasts"][0]["low"] is None
    assert found["verdict"] == "inconclusive"
    assert "not shown to help" in found["headline"]["claim"]
    assert "no interval from one repetition" in found["headline"]["evidence"]
    assert found["conditional_on"] == []
    assert any("where a claim needs 5" in text for text in found["warnings"])


def test_where_no_detector_learnt_anything_it_is_said(tmp_path: Path) -> None:
    arms = ("real", "synthetic")
    contrasts = [("synthetic", "real")]
    noise = dict.fromkeys(arms, 9.0)
    run = finish_run(tmp_path, seeds=(0, 1), arms=arms, contrasts=contrasts, noise=noise)
    found = run.report()
    assert found["arms"]["real"]["map50_95"] < 0.01
    assert found["verdict"] in {"inconclusive", "no_gain"}
    assert any("nothing can be concluded" in text for text in found["warnings"])


def test_without_a_contrast_the_report_gives_no_verdict(tmp_path: Path) -> None:
    found = finish_run(tmp_path, arms=("real", "copy_paste"), seeds=(0, 1)).report()
    assert found["verdict"] is None
    assert "names no contrast" in found["headline"]["claim"]
    assert (tmp_path / "runs" / "smoke" / "report" / "report.html").is_file()


def test_what_no_arm_asks_for_is_left_out(tmp_path: Path) -> None:
    run = finish_run(
        tmp_path,
        arms=("real", "copy_paste"),
        contrasts=[("copy_paste", "real")],
        overrides=("pools.synthetic=null",),
    )
    made = {name.partition("/")[2] for name in run.inputs}
    assert made == {"prepare", "generate", "version", "train"}
    found = run.report()
    assert found["layout_score"] is None
    assert found["headline"]["claim"].startswith("Copy-paste ")
    page = (tmp_path / "runs" / "smoke" / "report" / "report.html").read_text(encoding="utf-8")
    assert 'id="layout"' not in page
    assert 'id="filter"' not in page


def test_more_seeds_after_a_verdict_are_an_extension(tmp_path: Path) -> None:
    def report(seeds: tuple[int, ...], **changes: Any) -> dict[str, Any]:
        arms, contrasts = ("real", "synthetic"), [("synthetic", "real")]
        run = finish_run(tmp_path, seeds=seeds, shared_through=None, arms=arms, contrasts=contrasts)
        return run.report(**changes)

    assert report((0, 1))["extensions"] == 0
    assert report((0, 1))["extensions"] == 0, "the same report once more"
    longer = report((0, 1, 2), minimum_gain=0.02, gallery_images=3)
    assert longer["extensions"] == 1, "whatever else the report is asked for"
    assert any(note["topic"] == "Seeds added" for note in longer["notes"])


def test_repetitions_without_sharing_are_conditional_on_nothing(tmp_path: Path) -> None:
    found = finish_run(
        tmp_path, seeds=(0, 1), shared_through=None, arms=("real", "synthetic")
    ).report()
    assert found["conditional_on"] == []
    assert found["timings_s"]["fit"] == 360.0


def test_an_arm_that_was_not_trained_is_an_error(finished: FinishedRun) -> None:
    arms = finished.section.arms | {"another": finished.section.arms["real"]}
    with pytest.raises(RunError, match=r"repetition 0 hasn't trained arm 'another'"):
        finished.report(arms=arms)


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
    with pytest.raises(RunError, match=r"scored on different evaluation sets \(test, val\)"):
        run.report()
