"""The page's figures as plain values, read from the run's files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthdata.report import wording
from synthdata.report.charts import Axis, Curves, Histogram, axis_over, curves, histogram
from synthdata.report.run import Run

_NUM_INKS = 12


def inks(arms: Iterable[str]) -> dict[str, int]:
    """Return the number of the colour that each arm has on the whole page."""
    return {arm: place % _NUM_INKS for place, arm in enumerate(arms)}


@dataclass(frozen=True)
class ForestRow:
    """One difference with its interval; positions in per cent.

    Attributes:
        title: What is compared.
        row: Its entry in the metrics.
        ink: Number of its colour.
        middle: Of the mean difference.
        low: Of the interval's end; None where there is no interval.
        high: Of the interval's end.
        dots: Seed and position of each repetition's difference.
    """

    title: str
    row: Mapping[str, Any]
    ink: int
    middle: float
    low: float | None
    high: float | None
    dots: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Forest:
    """Differences on one axis, with zero and the smallest gain worth having."""

    axis: Axis
    zero: float
    minimum_gain: float
    rows: tuple[ForestRow, ...]


def arms_forest(metrics: Mapping[str, Any]) -> Forest | None:
    """Return each arm's difference to the reference, seed by seed; these aren't tested."""
    untested = {"low": None, "high": None, "verdict": None}
    rows = [
        (row["title"], arm, row | untested | {"arm": arm})
        for arm, row in metrics["arms"].items()
        if row["difference"] is not None
    ]
    return _forest(metrics, rows) if rows else None


def contrasts_forest(
    metrics: Mapping[str, Any], contrasts: Sequence[Mapping[str, Any]]
) -> Forest | None:
    """Return the named contrasts on one evaluation set."""
    rows = [(wording.contrast_title(metrics, row), row["arm"], row) for row in contrasts]
    return _forest(metrics, rows) if rows else None


def _forest(metrics: Mapping[str, Any], rows: Sequence[tuple[str, str, Any]]) -> Forest:
    """Return rows of (title, arm of the colour, entry of the metrics) as one figure."""
    ends = [row[end] for _, _, row in rows for end in ("low", "high") if row[end] is not None]
    ends += [value for _, _, row in rows for value in row["difference_by_seed"].values()]
    axis = axis_over([*ends, *(row["difference"] for _, _, row in rows)],
                     include=(0.0, metrics["minimum_gain"]))  # fmt: skip
    ink = inks(metrics["arms"])
    return Forest(
        axis=axis,
        zero=axis.at(0.0),
        minimum_gain=axis.at(metrics["minimum_gain"]),
        rows=tuple(
            ForestRow(
                title=title,
                row=row,
                ink=ink[arm],
                middle=axis.at(row["difference"]),
                low=None if row["low"] is None else axis.at(row["low"]),
                high=None if row["high"] is None else axis.at(row["high"]),
                dots=tuple((s, axis.at(v)) for s, v in row["difference_by_seed"].items()),
            )
            for title, arm, row in rows
        ),
    )


def filter_histograms(run: Run, pool: str) -> dict[str, Histogram]:
    """Return each filter's scores of a pool in the first repetition, kept and rejected apart."""
    folder = run.first("filter").path / pool
    scores = pd.read_parquet(folder / "scores.parquet")
    kept = pd.read_parquet(folder / "decisions.parquet").set_index("sample_id")["kept"]
    found = {}
    for name, rows in scores.groupby("filter", sort=False):
        is_kept = rows["sample_id"].map(kept).fillna(value=False).to_numpy(bool)
        values = rows["score"].to_numpy(np.float64)
        found[str(name)] = histogram(values[is_kept], values[~is_kept])
    return found


def generator_curves(run: Run) -> dict[str, Curves]:
    """Return a panel for each phase of the generator's training, a line a trained generator."""
    frames = {}
    for folder in run.computed("fit"):
        path = folder.path / "losses.csv"
        if path.is_file():
            frames[f"seed {folder.seed}"] = pd.read_csv(path)
    phases = dict.fromkeys(str(p) for frame in frames.values() for p in frame["phase"])
    return {
        phase: curves({
            label: (rows["step"].to_numpy(float), rows["loss"].to_numpy(float))
            for label, frame in frames.items()
            if len(rows := frame[frame["phase"] == phase])
        })
        for phase in phases
    }  # fmt: skip


def detector_curves(run: Run, arms: Sequence[str]) -> Curves | None:
    """Return a line an arm: the sum of the detector's losses, the mean over the seeds."""
    series = {}
    for arm in arms:
        sums = []
        for folder in run.of("train"):
            path = folder.path / "jobs" / arm / "losses.csv"
            if path.is_file():
                frame = pd.read_csv(path)
                sums.append(frame.set_index(frame.columns[0]).sum(axis=1))
        if sums:
            mean = pd.concat(sums, axis=1).mean(axis=1)
            series[arm] = (mean.index.to_numpy(float), mean.to_numpy(float))
    return curves(series) if series else None
