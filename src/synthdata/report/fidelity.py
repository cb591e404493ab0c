"""The fidelity metrics as tables: a row a metric, a column a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from synthdata.report.numerals import MINUS

_TITLES: Final = {"images": "Whole images", "crops": "Crops of objects", "boxes": "Boxes"}
_METRICS: Final = {
    "fid": "Fréchet distance", "kid": "kernel distance", "cmmd": "CMMD",
    "clip_score": "CLIP score", "inception_score": "Inception Score", "log_area": "log area",
    "log_aspect": "log aspect", "centre_x": "centre x", "centre_y": "centre y",
}  # fmt: skip
# What the two are called in the features for which they are defined.
_OF_INCEPTION: Final = {"fid": "FID", "kid": "KID"}


@dataclass(frozen=True)
class Cell:
    """One metric of one class.

    Attributes:
        value: Or "too few".
        interval: Empty where there is no value.
        halves: The same between two real halves; the number of items where there is no value.
        differs: Whether the value differs from that.
    """

    value: str
    interval: str
    halves: str
    differs: bool


@dataclass(frozen=True)
class FidelityTable:
    """Metrics of one kind of items.

    Attributes:
        title: What was compared, and in whose features.
        columns: Classes, or "all".
        rows: A metric's name and a cell a column.
        reasons: Why there are too few, a sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    reasons: tuple[str, ...]


def fidelity_tables(fidelity: Mapping[str, Any] | None) -> list[FidelityTable]:
    """Return a table for each kind of items and encoder, of what stage `score` measured."""
    by_table: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for row in fidelity["rows"] if fidelity else ():
        by_table.setdefault((row["of"], row["encoder"]), []).append(row)
    return [_table(of, encoder, rows) for (of, encoder), rows in by_table.items()]


def _table(of: str, encoder: str | None, rows: Sequence[Mapping[str, Any]]) -> FidelityTable:
    columns = tuple(dict.fromkeys(row["class"] or "all" for row in rows))
    cells: dict[str, list[Cell]] = {}
    reasons = []
    for row in rows:
        title = _metric_title(row["metric"], encoder)
        cells.setdefault(title, []).append(_cell(row))
        if row["reason"]:
            where = f" of {row['class']}" if row["class"] else ""
            reasons.append(f"{title}{where}: {row['reason']}.")
    return FidelityTable(
        title=_TITLES[of] + (f", {encoder}" if encoder else ""),
        columns=columns,
        rows=tuple((title, tuple(values)) for title, values in cells.items()),
        reasons=tuple(reasons),
    )


def _metric_title(metric: str, encoder: str | None) -> str:
    known = _METRICS | (_OF_INCEPTION if encoder == "inception-v3" else {})
    return known.get(metric, metric)


def _cell(row: Mapping[str, Any]) -> Cell:
    if row["value"] is None:
        return Cell("too few", "", f"{row['num']} a half", differs=False)
    value, low, high, halves = (_digits(row[name]) for name in ("value", "low", "high", "halves"))
    return Cell(value, f"{low} to {high}", f"real {halves}", row["differs"])


def _digits(value: float) -> str:
    text = f"{value:#.3g}" if abs(value) < 999.5 else f"{value:.0f}"
    return text.rstrip(".").replace("-", MINUS)
