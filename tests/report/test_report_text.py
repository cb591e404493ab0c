import io
from pathlib import Path
from typing import Any

import pytest
from finished_run import FinishedRun
from rich.console import Console

from synthdata.files import read_json
from synthdata.report import contrast_rows, render_layout_score, render_verdict, verdict_rows
from synthdata.report.numerals import NBSP, duration, measured, p_value, percent, plain, signed
from synthdata.report.wording import headline, notes

MINUS = "\N{MINUS SIGN}"


def _printed(metrics: dict[str, Any], width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(render_verdict(metrics))
    return file.getvalue()


def test_the_terminal_shows_the_verdict_within_80_columns(metrics: dict[str, Any]) -> None:
    text = _printed(metrics, 80)
    assert "…" not in text.split("AP ")[0]  # nothing of the verdict table is cut
    lines = text.splitlines()
    for row in metrics["contrasts"]:
        at = next(i for i, line in enumerate(lines) if line.strip() == f"against {row['against']}")
        assert lines[at - 1].startswith(f"{row['arm']} ")
        assert f"{row['difference']:+.3f}".replace("-", MINUS) in lines[at - 1]
    for arm, row in metrics["arms"].items():
        line = next(line for line in reversed(lines) if line.startswith(f"{arm} "))
        assert f"{row['map50_95']:.3f}" in line
    said = " ".join(text.split())
    assert said.startswith(metrics["advice"]["sentence"])
    assert metrics["headline"]["claim"] in said


def test_the_terminal_shows_fidelity_beside_real_halves(finished: FinishedRun) -> None:
    score = read_json(finished.inputs["seed-0/score"] / "metrics.json")
    file = io.StringIO()
    Console(file=file, width=120).print(render_layout_score(score))
    lines = [line for line in file.getvalue().splitlines() if line.startswith("kernel distance")]
    assert lines[0].split() == ["kernel", "distance", f"{MINUS}0.0123*", "(real", "0.00300)"]
    assert lines[1].count("*") == 3


def test_the_terminal_shows_chance_beside_the_layout_score(finished: FinishedRun) -> None:
    score = read_json(finished.inputs["seed-0/score"] / "metrics.json")
    file = io.StringIO()
    Console(file=file, width=120).print(render_layout_score(score))
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert lines[0] == ["class", "AP50", "real", "generated", "score", "chance"]
    assert [line[-4:] for line in lines[1:4]] == [["0.900", "0.600", "0.667", "0.022"]] * 3
    assert lines[4] == ["mean", "0.900", "0.600", "0.667", "0.022"]
    assert ["ratio", "0.860"] in lines


def test_the_terminal_shows_class_names_as_text(metrics: dict[str, Any]) -> None:
    assert "AP <script>al…" in _printed(metrics, 200)


def test_metrics_read_back_from_the_file_give_the_same_text(
    metrics: dict[str, Any], report_dir: Path
) -> None:
    assert _printed(read_json(report_dir / "metrics.json"), 100) == _printed(metrics, 100)


def test_rows_for_other_tables_hold_plain_values(metrics: dict[str, Any]) -> None:
    rows = verdict_rows(metrics)
    assert [row["arm"] for row in rows] == list(metrics["arms"])
    assert rows[0]["role"] == "reference"
    tested = contrast_rows(metrics)
    assert [row["on"] for row in tested] == ["val"] * 3
    assert tested[0]["verdict"] == metrics["verdict"]
    assert rows[3]["ap_RBC"] == metrics["arms"]["synthetic_filtered"]["per_class"]["RBC"]


def test_the_markdown_table_has_as_many_cells_in_each_row(
    metrics: dict[str, Any], report_dir: Path
) -> None:
    lines = (report_dir / "verdict.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Take Synthetic, filtered: ")
    assert lines[2].startswith("## Synthetic, filtered ")
    table = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    contrasts, arms = table[: 2 + 3], table[2 + 3 :]
    assert len(arms) == 2 + len(metrics["arms"])
    assert len({line.count("|") for line in contrasts}) == 1
    assert len({line.count("|") for line in arms}) == 1
    assert "<script>" not in "\n".join(lines).replace("\\<", "")


ROW = {
    "arm": "mix", "against": "real", "difference": 0.041, "low": 0.012, "high": 0.07, "p": 0.002,
    "p_holm": 0.004, "seeds": 5, "seeds_needed": None, "verdict": "helps", "cost_s_per_point": 73.0,
}  # fmt: skip


LAYOUT_SCORE = {
    "score": 0.667, "shuffled_score": 0.02,
    "per_class": {"a": {"score": 0.9}, "b": {"score": None}},
}  # fmt: skip


def _arm(title: str, role: str, map50_95: float, **values: Any) -> dict[str, Any]:
    defaults = {"twin": None, "difference": None, "cost_s": None}
    return {"title": title, "role": role, "map50_95": map50_95} | defaults | values


def _metrics(**changes: Any) -> dict[str, Any]:
    arms = {
        "real": _arm("Real only", "reference", 0.359),
        "mix": _arm("Mix", "candidate", 0.4, difference=0.041, cost_s=300.0),
        "pasted": _arm("Pasted", "free", 0.38, difference=0.021),
    }
    return {
        "reference": "real", "confidence": 0.95, "minimum_gain": 0.01, "arms": arms,
        "contrasts": [ROW | changes], "shifted": {}, "recovery": {}, "extensions": 0,
        "layout_score": LAYOUT_SCORE, "conditional_on": [], "evaluation_split": "val",
        "environment": {}, "looks": {"val": []}, "warnings": [], "provisional": False,
        "advice": {"chosen_by": "val", "cross_fit": None},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "claim", "evidence"),
    [
        pytest.param(
            {}, "Mix helps here: +0.041 mAP50-95",
            "0.400 against 0.359 for Real only; 95 % interval +0.012 to +0.070, 5 paired seeds, "
            "p 0.004 (Holm).",
            id="helps",
        ),
        pytest.param(
            {"verdict": "hurts", "difference": -0.03, "low": -0.05, "high": -0.01},
            f"Mix hurts here: {MINUS}0.030 mAP50-95", f"{MINUS}0.050 to {MINUS}0.010",
            id="hurts",
        ),
        pytest.param(
            {"verdict": "no_gain", "difference": 0.002, "low": -0.004, "high": 0.008},
            "Mix brings no gain worth having here: +0.002 mAP50-95",
            "The smallest gain worth having was set at 0.010.",
            id="no gain",
        ),
        pytest.param(
            {"verdict": "no_gain", "difference": -0.046, "low": -0.079, "high": -0.013},
            f"Mix brings no gain worth having here, and may do harm: {MINUS}0.046 mAP50-95",
            "The smallest gain worth having was set at 0.010.",
            id="no gain, below zero",
        ),
        pytest.param(
            {"verdict": "inconclusive", "low": -0.01, "high": 0.09, "seeds_needed": 9},
            "Mix is not shown to help here: +0.041 mAP50-95",
            "About 9 seeds would settle a gain of 0.010.",
            id="inconclusive",
        ),
        pytest.param(
            {"verdict": "inconclusive", "low": None, "high": None, "p_holm": None},
            "Mix is not shown to help here: +0.041 mAP50-95",
            "no interval, since all seeds gave the same difference, 5 paired seeds.",
            id="no spread",
        ),
        pytest.param(
            {"verdict": "inconclusive", "low": -0.01, "high": 0.09},
            "Mix is not shown to help here: +0.041 mAP50-95",
            "Even a thousand seeds would not settle a gain of 0.010; more images to score may.",
            id="too few images",
        ),
        pytest.param(
            {"against": "pasted", "difference": 0.02}, "Mix does better here than Pasted: +0.020",
            "0.400 against 0.380 for Pasted",
            id="against another arm",
        ),
    ],
)  # fmt: skip
def test_the_headline_says_what_was_shown(
    changes: dict[str, Any], claim: str, evidence: str
) -> None:
    found = headline(_metrics(**changes))
    assert found["claim"].startswith(claim)
    assert evidence in found["evidence"].replace(NBSP, " ")


def test_of_few_seeds_the_headline_only_seems_to_know() -> None:
    few = {"provisional": True}
    assert headline(_metrics() | few)["claim"].startswith("Mix seems to help here: ")
    other = _metrics(against="pasted") | few
    assert headline(other)["claim"].startswith("Mix seems to do better here than Pasted: ")


def test_a_note_says_what_the_layout_score_would_be_by_chance() -> None:
    (text,) = (note["text"] for note in notes(_metrics()) if note["topic"] == "Layout")
    assert "67" in text
    assert text.replace(NBSP, " ").endswith("; 2 % would be chance.")


@pytest.mark.parametrize(
    ("conditional_on", "text"),
    [
        pytest.param(
            ["prepare", "fit", "layout", "generate", "score", "filter", "version"],
            "One draw of real images, trained generator, set of layouts, set of generated images "
            "and choice by the filters and by chance, shared by all seeds. The interval covers "
            "each seed's own training of the detector, not what others of what is shared",
            id="all but the detector",
        ),
        pytest.param(
            ["prepare"],
            "One draw of real images, shared by all seeds. The interval covers each seed's own "
            "trained generator, set of layouts, set of generated images, choice by the filters and "
            "by chance and training of the detector, not what others of what is shared",
            id="the draw",
        ),
    ],
)
def test_the_conditions_name_what_was_shared_and_what_was_not(
    conditional_on: list[str], text: str
) -> None:
    told = notes(_metrics() | {"conditional_on": conditional_on})
    assert text in next(note["text"] for note in told if note["topic"] == "Conditional on")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        pytest.param(0.58, "not tested; Mix has 58 % of it.", id="some"),
        pytest.param(-0.2, "not tested; Mix has none of it.", id="none"),
        pytest.param(None, "and not tested.", id="no gain to share"),
    ],
)
def test_the_note_on_a_ceiling(share: float | None, text: str) -> None:
    metrics = _metrics()
    metrics["arms"]["all"] = _arm("All photographs", "ceiling", 0.43, difference=0.07)
    metrics["recovery"] = {} if share is None else {"all": {"mix": share}}
    told = next(note["text"] for note in notes(metrics) if note["topic"] == "Ceiling")
    assert told.startswith(
        "All photographs: images that the other arms must do without made +0.070"
    )
    assert told.replace(NBSP, " ").endswith(text)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        pytest.param("helps", "Mix does better here than Pasted: +0.030", id="better"),
        pytest.param("hurts", "Mix does worse here than Pasted: ", id="worse"),
        pytest.param("no_gain", "Mix brings no gain worth having here over Pasted: ", id="level"),
        pytest.param("inconclusive", "Mix is not shown to do better here than Pasted: ", id="open"),
    ],
)
def test_the_note_on_a_further_contrast(verdict: str, text: str) -> None:
    row = ROW | {"against": "pasted", "difference": 0.03, "verdict": verdict}
    metrics = _metrics() | {"contrasts": [ROW, row]}
    assert text in next(n["text"] for n in notes(metrics) if n["topic"] == "Contrast")
    metrics["arms"]["mix"]["twin"] = "pasted"
    assert text in next(n["text"] for n in notes(metrics) if n["topic"] == "Twin")


def test_a_shifted_set_has_verdicts_of_its_own() -> None:
    shifted = {"raabin": {"contrasts": [ROW | {"verdict": "hurts", "difference": -0.02}]}}
    told = notes(_metrics() | {"shifted": shifted})
    (text,) = (note["text"] for note in told if note["topic"] == "On raabin")
    assert text.startswith(f"Mix hurts here: {MINUS}0.020 mAP50-95")


def test_a_cost_per_point_is_told_only_of_a_gain_that_is_shown() -> None:
    def cost(metrics: dict[str, Any]) -> str:
        return next(note["text"] for note in notes(metrics) if note["topic"] == "Cost")

    assert "73 s per point" in cost(_metrics())
    assert "per point" not in cost(_metrics(cost_s_per_point=None))


def test_a_score_on_test_tells_how_often_it_was_looked_at() -> None:
    looked = _metrics() | {"evaluation_split": "test", "looks": {"test": [{}, {}]}}
    text = "test, whose images were looked at 2 times by runs in this workspace."
    assert {"topic": "Scored on", "text": text} in notes(looked)


def test_seeds_that_were_added_after_a_verdict_are_told() -> None:
    told = notes(_metrics() | {"extensions": 2})
    (text,) = (note["text"] for note in told if note["topic"] == "Seeds added")
    assert "after 2 earlier verdicts" in text
    assert "divided by 3" in text


def test_numbers_are_written_the_same_way_everywhere() -> None:
    assert signed(-0.0301) == f"{MINUS}0.030"
    assert [signed(v) for v in (0.0, -0.0, -0.0002)] == ["0.000"] * 3
    assert plain(-0.5, 1) == f"{MINUS}0.5"
    assert percent(0.954) == f"95{NBSP}%"
    assert [p_value(p) for p in (0.00001, 0.0123, 0.5)] == [f"<{NBSP}0.001", "0.012", "0.50"]
    assert [measured(v) for v in (12, 0.5)] == ["12", "0.500"]
    assert [duration(s) for s in (0.01, 3.14, 59.6, 250, 3600, 7300)] == [
        "< 0.1 s", "3.1 s", "60 s", "4 min 10 s", "60 min", "2 h 1 min",
    ]  # fmt: skip
