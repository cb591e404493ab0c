"""`verdict.md`: the verdict for a pull request or a log."""

from collections.abc import Mapping
from typing import Any

from synthdata.report import numerals, wording
from synthdata.report.run import in_order

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#&"})


def render_markdown(metrics: Mapping[str, Any]) -> str:
    """Return headline, table and notes as Markdown; class names are escaped."""
    names = metrics["class_names"]
    head = ["arm", "mAP50-95", "mAP50", *(f"AP {_escape(name)}" for name in names),
            "difference", "interval", "p (Holm)", "verdict", "seeds"]  # fmt: skip
    rows = [_row(metrics, arm) for arm in in_order(metrics["arms"])]
    lines = [
        f"# {metrics['headline']['claim']}",
        "",
        *([metrics["headline"]["evidence"], ""] if metrics["headline"]["evidence"] else []),
        *(_line(cells) for cells in (head, ["---"] * len(head), *rows)),
        "",
        *(f"- **{n['topic']}**: {_escape(n['text'])}" for n in metrics["notes"]),
        "",
        wording.method(metrics),
    ]
    return "\n".join(lines) + "\n"


def _row(metrics: Mapping[str, Any], arm: str) -> list[str]:
    row = metrics["arms"][arm]
    return [
        wording.arm_title(arm),
        numerals.score(row["map50_95"]),
        numerals.score(row["map50"]),
        *(numerals.score(row["per_class"][name]) for name in metrics["class_names"]),
        *wording.difference_cells(row),
        wording.VERDICT_TITLES[row["verdict"]],
        str(row["seeds"]),
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return " ".join(text.translate(_SPECIAL).split())
