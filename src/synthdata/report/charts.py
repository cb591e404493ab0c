"""Where marks stand on the page: values to positions in per cent of a plot's width and height.

The template draws them as inline SVG with percentages, so that text keeps its size on
every screen. Nothing here knows about colours or HTML.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import LogLocator, MaxNLocator

from synthdata.report.numerals import MINUS

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale.

    Attributes:
        low: Value at 0 %.
        high: Value at 100 %.
        log: Whether equal steps are equal factors.
    """

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value in per cent; values outside are kept at the edge."""
        low, high, shown = self.low, self.high, value
        if self.log:
            low, high, shown = math.log(low), math.log(high), math.log(max(value, low))
        return round(min(max((shown - low) / (high - low) * 100, 0.0), 100.0), 3)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return positions and labels of round values inside the axis."""
        if self.log:
            locator = LogLocator(subs=(1.0, 2.0, 5.0) if self.high / self.low < 100 else (1.0,))
            values = locator.tick_values(self.low, self.high)
        else:
            values = MaxNLocator(nbins=count, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        margin = 1e-9 * (self.high - self.low)
        inside = [float(v) for v in values if self.low - margin <= v <= self.high + margin]
        return [(self.at(value), tick_label(value)) for value in inside]


def tick_label(value: float) -> str:
    """Return a number as short as it can be, with a true minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 6):g}"
    return "0" if text in ("-0", "0") else text.replace("-", MINUS)


def axis_over(values: Sequence[float], *, include: Sequence[float] = ()) -> Axis:
    """Return a linear axis that holds all values, with a little air on both sides."""
    finite = [value for value in (*values, *include) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    air = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
    return Axis(low - air, high + air)


@dataclass(frozen=True)
class Bin:
    """A bar of a stacked histogram; all in per cent, counts beside."""

    left: float
    width: float
    kept: float
    rejected: float
    num_kept: int
    num_rejected: int


@dataclass(frozen=True)
class Histogram:
    """Scores of one filter, kept and rejected images stacked."""

    axis: Axis
    bins: tuple[Bin, ...]
    highest: int


def histogram(kept: FloatArray, rejected: FloatArray, *, num_bins: int = 24) -> Histogram:
    """Count scores in bins of equal width; infinite and missing scores are left out."""
    kept, rejected = kept[np.isfinite(kept)], rejected[np.isfinite(rejected)]
    both = np.concatenate([kept, rejected])
    if not len(both):
        return Histogram(Axis(0.0, 1.0), (), 0)
    low, high = float(both.min()), float(both.max())
    if low == high:
        low, high = low - 0.05, high + 0.05
    edges = np.linspace(low, high, num_bins + 1)
    counts = np.histogram(kept, edges)[0], np.histogram(rejected, edges)[0]
    highest = int((counts[0] + counts[1]).max())
    width = 100 / num_bins
    bins = tuple(
        Bin(i * width, width, 100 * k / highest, 100 * r / highest, int(k), int(r))
        for i, (k, r) in enumerate(zip(*counts, strict=True))
    )
    return Histogram(Axis(low, high), bins, highest)


@dataclass(frozen=True)
class Line:
    """One curve: SVG points in per cent, y downwards."""

    label: str
    points: str
    last: float


@dataclass(frozen=True)
class Curves:
    """Curves that share axes."""

    x: Axis
    y: Axis
    lines: tuple[Line, ...]


def curves(series: Mapping[str, tuple[FloatArray, FloatArray]], *, num_points: int = 90) -> Curves:
    """Return curves thinned to the mean of `num_points` stretches of equal length.

    Args:
        series: `(N,)` x and y by label. Where all y are above 0 and span a factor of 5 or
            more, the y axis is logarithmic.
        num_points: Points a curve.
    """
    thinned = {label: _thin(x, y, num_points) for label, (x, y) in series.items() if len(x)}
    xs = np.concatenate([x for x, _ in thinned.values()])
    ys = np.concatenate([y for _, y in thinned.values()])
    log = bool(ys.min() > 0 and ys.max() / ys.min() >= 5)
    x_axis = Axis(float(xs.min()), float(max(xs.max(), xs.min() + 1)))
    y_axis = (
        Axis(float(ys.min()) / 1.1, float(ys.max()) * 1.1, log=True)
        if log
        else axis_over(ys.tolist())
    )
    lines = tuple(
        Line(
            label,
            " ".join(f"{x_axis.at(a):g},{100 - y_axis.at(b):g}" for a, b in zip(x, y, strict=True)),
            float(y[-1]),
        )
        for label, (x, y) in thinned.items()
    )
    return Curves(x_axis, y_axis, lines)


def _thin(x: FloatArray, y: FloatArray, num_points: int) -> tuple[FloatArray, FloatArray]:
    finite = np.isfinite(y)
    x, y = x[finite].astype(np.float64), y[finite].astype(np.float64)
    stretches = np.array_split(np.arange(len(x)), min(num_points, max(len(x), 1)))
    return (
        np.array([x[part].mean() for part in stretches if len(part)]),
        np.array([y[part].mean() for part in stretches if len(part)]),
    )
