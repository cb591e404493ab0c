import numpy as np
import pytest

from synthdata.report.charts import Axis, axis_over, curves, histogram, tick_label


def test_positions_run_from_0_to_100_and_stay_inside() -> None:
    axis = Axis(-1.0, 3.0)
    assert [axis.at(v) for v in (-1, 0, 3, 99, -99)] == [0, 25, 100, 100, 0]
    log = Axis(0.01, 100.0, log=True)
    assert log.at(1.0) == 50
    assert log.at(0.0) == 0  # has no logarithm


@pytest.mark.parametrize(
    "axis",
    [
        pytest.param(Axis(-0.013, 0.0921), id="small"),
        pytest.param(Axis(0.03, 0.9, log=True), id="log, a decade"),
        pytest.param(Axis(0.001, 900.0, log=True), id="log, many decades"),
        pytest.param(Axis(0.0, 12000.0), id="thousands"),
    ],
)
def test_ticks_are_inside_increasing_and_distinct(axis: Axis) -> None:
    ticks = axis.ticks()
    positions = [at for at, _ in ticks]
    assert len(ticks) >= 2
    assert positions == sorted(set(positions))
    assert all(0 <= at <= 100 for at in positions)
    assert len({text for _, text in ticks}) == len(ticks)


def test_tick_labels_are_short() -> None:
    values = [0.1 + 0.2, -0.05, 0.0, -0.0, 12000.0]
    assert [tick_label(v) for v in values] == ["0.3", "\N{MINUS SIGN}0.05", "0", "0", "12,000"]


def test_an_axis_holds_its_values_even_where_they_are_all_the_same() -> None:
    for values in ([0.4], [0.0, 0.0], [-1.0, 5.0], [float("nan")]):
        axis = axis_over(values)
        assert axis.low < axis.high
        assert all(axis.low < v < axis.high for v in values if v == v)


def test_a_histogram_counts_every_score_once() -> None:
    rng = np.random.default_rng(0)
    kept, rejected = rng.normal(1, 1, 70), np.append(rng.normal(-1, 1, 30), [np.nan, np.inf])
    found = histogram(kept, rejected)
    assert sum(b.num_kept for b in found.bins) == 70
    assert sum(b.num_rejected for b in found.bins) == 30
    assert max(b.kept + b.rejected for b in found.bins) == pytest.approx(100)
    assert sum(b.width for b in found.bins) == pytest.approx(100)


def test_a_histogram_of_nothing_or_of_one_value_is_drawn() -> None:
    nothing = np.zeros(0)
    assert histogram(nothing, nothing).bins == ()
    same = histogram(np.full(5, 0.3), nothing)
    assert sum(b.num_kept for b in same.bins) == 5


def test_curves_are_thinned_to_means() -> None:
    x = np.arange(1000.0)
    found = curves({"a": (x, 2 + np.sin(x)), "b": (x[:3], x[:3] * 0 + 2.5)}, num_points=50)
    assert [len(line.points.split()) for line in found.lines] == [50, 3]
    assert not found.y.log
    falling = curves({"a": (x, np.exp(-x / 200))})
    assert falling.y.log
    heights = [float(point.split(",")[1]) for point in falling.lines[0].points.split()]
    assert heights == sorted(heights)  # y points downwards on the page


def test_a_single_point_is_a_curve() -> None:
    found = curves({"a": (np.array([1.0]), np.array([0.5]))})
    assert found.lines[0].points.count(",") == 1
