"""The verdict on the terminal, and as rows for other tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthdata.report import numerals, wording
from synthdata.report.fidelity import FidelityTable, fidelity_tables

_STYLES = {
    "helps": "bold green", "hurts": "bold red", "no_gain": "bold", "inconclusive": "yellow",
}  # fmt: skip
_MAX_CLASSES = 5
_FIDELITY_NOTE = "In brackets the same between two halves of the real images; * differs from it."


def render_verdict(metrics: Mapping[str, Any]) -> RenderableType:
    """Return advice, headline, tables and notes for a rich console.

    Args:
        metrics: The report's, as `write_report` returns them or `metrics.json` holds them.
    """
    headline = metrics["headline"]
    style = _STYLES.get(metrics["verdict"] or "", "bold")
    parts: list[RenderableType] = [
        Text(),
        Text(metrics["advice"]["sentence"], style="bold"),
        Text(),
        Text(headline["claim"], style=style),
    ]
    if headline["evidence"]:
        parts.append(Text(headline["evidence"]))
    for name, contrasts in _contrasts_by_set(metrics).items():
        parts += [Text(), _contrast_table(metrics, name, contrasts)]
    parts += [Text(), _arm_table(metrics), Text(), _notes(metrics)]
    return Group(*parts)


def _contrasts_by_set(metrics: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the contrasts on each evaluation set that has some, the split's first."""
    found = {metrics["evaluation_split"]: metrics["contrasts"]}
    found |= {name: scored["contrasts"] for name, scored in metrics["shifted"].items()}
    return {name: contrasts for name, contrasts in found.items() if contrasts}


def print_verdict(metrics: Mapping[str, Any]) -> None:
    """Print the verdict to standard output."""
    Console().print(render_verdict(metrics))


def verdict_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the arms as rows of plain values, for an artifact or a data frame."""
    return [
        {
            "arm": arm,
            "role": row["role"],
            "map50_95": row["map50_95"],
            "map50": row["map50"],
            **{f"ap_{name}": row["per_class"][name] for name in metrics["class_names"]},
            "difference": row["difference"],
            "seeds": row["seeds"],
        }
        for arm, row in metrics["arms"].items()
    ]


def contrast_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the contrasts on every evaluation set as rows of plain values."""
    names = ("arm", "against", "difference", "low", "high", "p", "p_holm", "verdict",
             "seeds", "seeds_needed")  # fmt: skip
    return [
        {"on": evaluation_set} | {name: row[name] for name in names}
        for evaluation_set, contrasts in _contrasts_by_set(metrics).items()
        for row in contrasts
    ]


def render_layout_score(metrics: Mapping[str, Any]) -> RenderableType:
    """Return the layout score as tables for a rich console.

    Args:
        metrics: Those of stage `score`.
    """
    table = _empty_table("AP50 real", "generated", "score", "chance", first="class")
    for name, row in metrics["per_class"].items():
        keys = ("real_map50", "generated_map50", "score", "shuffled_score")
        table.add_row(Text(name), *(numerals.score(row[key]) for key in keys))
    map50 = metrics["map50"]
    means = (map50["real"], map50["generated"], metrics["score"], metrics["shuffled_score"])
    table.add_row("mean", *map(numerals.score, means), style="bold")
    boxes = _empty_table(*metrics["boxes"]["real"], first="boxes")
    for part, counts in metrics["boxes"].items():
        boxes.add_row(part, *map(str, counts.values()))
    parts: list[RenderableType] = [table, Text(), boxes]
    if metrics["alone"] is not None:
        parts += [Text(), _alone_table(metrics["alone"])]
    tables = fidelity_tables(metrics["fidelity"])
    for fidelity in tables:
        parts += [Text(), _fidelity_table(fidelity)]
    if tables:
        parts += [Text(), Text(_FIDELITY_NOTE)]
    return Group(*parts)


def _fidelity_table(fidelity: FidelityTable) -> Table:
    """Return values beside what real halves give; the page has the intervals."""
    table = _empty_table(*fidelity.columns[:_MAX_CLASSES], first=fidelity.title, max_width=24)
    for name, cells in fidelity.rows:
        shown = (
            f"{cell.value}{'*' if cell.differs else ''} ({cell.halves})"
            for cell in cells[:_MAX_CLASSES]
        )
        table.add_row(name, *shown)
    return table


def _alone_table(alone: Mapping[str, Any]) -> Table:
    """Return what a detector learns from real images and from generated ones alone."""
    table = _empty_table("mAP50-95", "mAP50", first=f"trained on {alone['images']}")
    for part in ("real", "generated"):
        values = (alone[part][name] for name in ("map50_95", "map50"))
        table.add_row(part, *map(numerals.score, values))
    table.add_row("ratio", numerals.score(alone["ratio"]), "", style="bold")
    return table


def _contrast_table(
    metrics: Mapping[str, Any], on: str, contrasts: Sequence[Mapping[str, Any]]
) -> Table:
    """Return the named contrasts on one evaluation set; fits 80 columns."""
    table = _empty_table(
        "diff.", f"{numerals.percent(metrics['confidence'])} int.", "p", "Holm", first=f"on {on}"
    )
    table.add_column("verdict", no_wrap=True)
    for row in contrasts:
        difference, ends, *p = wording.contrast_cells(row)
        cells = [
            f"{row['arm']}\n  against {row['against']}",
            difference,
            ends.replace(" to ", " "),
            *p,
        ]
        verdict = Text(wording.VERDICT_TITLES[row["verdict"]], style=_STYLES[row["verdict"]])
        table.add_row(*(Text(cell) for cell in cells), verdict)
    return table


def _arm_table(metrics: Mapping[str, Any]) -> Table:
    """Return the arms' scores and each class's AP50-95; the page has those that don't fit."""
    names = metrics["class_names"][:_MAX_CLASSES]
    table = _empty_table("mAP50-95", "diff.", "mAP50", *(f"AP {name}" for name in names))
    for arm, row in metrics["arms"].items():
        gain = row["difference"]
        values = [row["map50"], *(row["per_class"][name] for name in names)]
        table.add_row(
            Text(arm),
            numerals.score(row["map50_95"]),
            numerals.NOTHING if gain is None else numerals.signed(gain),
            *(numerals.score(value) for value in values),
        )
    return table


def _empty_table(*numbers: str, first: str = "arm", max_width: int = 14) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for name in numbers:
        # A class name may be long; it is cut rather than the numbers.
        table.add_column(
            Text(name), justify="right", no_wrap=True, min_width=5, max_width=max_width
        )
    return table


def _notes(metrics: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for note in metrics["notes"]:
        table.add_row(Text(note["topic"], style="dim", no_wrap=True), Text(note["text"]))
    return table
