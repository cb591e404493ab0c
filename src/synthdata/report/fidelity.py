"""The fidelity metrics as tables: a row a metric, a column a class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from synthdata.report.numerals import MINUS

_TITLES: Final = {"images": "Whole images", "crops": "Crops of objects", "boxes": "Boxes"}
_METRICS: Final = {
    "fid": "FID", "kid": "KID", "cmmd": "CMMD", "clip_score": "CLIP score",
    "inception_score": "Inception Score", "log_area": "log area", "log_aspect": "log aspect",
    "centre_x": "centre x", "centre_y": "centre y",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One metric of one class.

    Attributes:
        value: With its interval, or "too few".
        halves: The same between two real halves; empty where there is none.
        num: Items of each set that it was measured with.
        reason: Why there is no value; empty where there is one.
    """

    value: str
    halves: str
    num: int
    reason: str


@dataclass(frozen=True)
class FidelityTable:
    """Metrics of one kind of items.

    Attributes:
        title: What was compared, and in whose features.
        columns: Classes, or "all".
        rows: A metric's name and a cell a column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def fidelity_tables(fidelity: Mapping[str, Any] | None) -> list[FidelityTable]:
    """Return a table for each kind of items and encoder, of what stage `score` measured."""
    by_table: dict[tuple[str, str | None], dict[str, dict[str, Cell]]] = {}
    for row in fidelity["rows"] if fidelity else ():
        table = by_table.setdefault((row["of"], row["encoder"]), {})
        table.setdefault(row["metric"], {})[row["class"] or "all"] = _cell(row)
    return [
        FidelityTable(
            title=_TITLES[of] + (f", {encoder}" if encoder else ""),
            columns=tuple(next(iter(metrics.values()))),
            rows=tuple(
                (_METRICS.get(name, name), tuple(cells.values())) for name, cells in metrics.items()
            ),
        )
        for (of, encoder), metrics in by_table.items()
    ]


def _cell(row: Mapping[str, Any]) -> Cell:
    if row["value"] is None:
        return Cell("too few", "", row["num"], row["reason"])
    value, low, high, halves = (_digits(row[name]) for name in ("value", "low", "high", "halves"))
    return Cell(f"{value} ({low} to {high})", halves, row["num"], "")


def _digits(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)
