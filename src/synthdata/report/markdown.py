"""`verdict.md`: the verdict for a pull request or a log."""

from collections.abc import Mapping
from typing import Any

from synthdata.formats.markdown import escape
from synthdata.report import numerals, wording


def render_markdown(metrics: Mapping[str, Any]) -> str:
    """Return advice, headline, tables and notes as Markdown; titles and class names are escaped."""
    names = metrics["class_names"]
    head = ["arm", "role", "mAP50-95", "mAP50", *(f"AP {escape(name)}" for name in names),
            "difference", "seeds"]  # fmt: skip
    rows = [_arm_row(metrics, row) for row in metrics["arms"].values()]
    lines = [
        f"# {escape(metrics['advice']['sentence'])}",
        "",
        f"## {escape(metrics['headline']['claim'])}",
        "",
        *([escape(metrics["headline"]["evidence"]), ""] if metrics["headline"]["evidence"] else []),
        *_contrast_lines(metrics),
        *(_line(cells) for cells in (head, ["---"] * len(head), *rows)),
        "",
        *(f"- **{escape(n['topic'])}**: {escape(n['text'])}" for n in metrics["notes"]),
        "",
        wording.method(metrics),
    ]
    return "\n".join(lines) + "\n"


def _contrast_lines(metrics: Mapping[str, Any]) -> list[str]:
    scored = {metrics["evaluation_split"]: metrics["contrasts"]}
    scored |= {name: one["contrasts"] for name, one in metrics["shifted"].items()}
    rows = [
        [
            escape(wording.contrast_title(metrics, row)),
            name,
            *wording.contrast_cells(row),
            wording.VERDICT_TITLES[row["verdict"]],
        ]
        for name, contrasts in scored.items()
        for row in contrasts
    ]
    head = ["contrast", "on", "difference", "interval", "p", "p (Holm)", "verdict"]
    return [*(_line(cells) for cells in (head, ["---"] * len(head), *rows)), ""] if rows else []


def _arm_row(metrics: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    return [
        escape(row["title"]),
        wording.ROLE_TITLES[row["role"]],
        numerals.score(row["map50_95"]),
        numerals.score(row["map50"]),
        *(numerals.score(row["per_class"][name]) for name in metrics["class_names"]),
        numerals.NOTHING if row["difference"] is None else numerals.signed(row["difference"]),
        str(row["seeds"]),
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
