from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import synthdata
from synthdata.errors import SynthdataError
from synthdata.verdict import ContrastResult, Rule, compare_arms, compare_contrasts

PLAIN = (0.50, 0.52, 0.47, 0.51, 0.49)
ONE = [("extra", "plain")]


def frame(**scores: Sequence[float]) -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": seed, "map50_95": value}
        for arm, values in scores.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "map50_95"])


def shifted(
    gain: float, noise: Sequence[float] = (0.004, -0.006, 0.005, -0.004, 0.001)
) -> tuple[float, ...]:
    return tuple(plain + gain + extra for plain, extra in zip(PLAIN, noise, strict=True))


def row_of(results: pd.DataFrame, **settings: Any) -> pd.Series:
    return compare_arms(results, contrasts=ONE, **settings).iloc[0]


def test_is_the_public_function() -> None:
    assert synthdata.compare_arms is compare_arms


def test_equals_the_paired_t_test() -> None:
    other = (0.55, 0.54, 0.53, 0.52, 0.56)
    row = row_of(frame(plain=PLAIN, extra=other))
    test = stats.ttest_rel(other, PLAIN)
    low, high = test.confidence_interval(0.95)
    assert row["p"] == pytest.approx(test.pvalue, rel=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["difference"] == pytest.approx(np.mean(other) - np.mean(PLAIN))
    assert row["seeds"] == 5


def test_columns_are_the_fields_of_a_contrast() -> None:
    table = compare_arms(frame(plain=PLAIN, extra=shifted(0.1)), contrasts=ONE)
    assert list(table.columns) == [
        "arm", "against", "seeds", "difference", "low", "high", "p", "p_holm", "verdict",
        "seeds_needed",
    ]  # fmt: skip
    assert list(table.columns) == [field.name for field in fields(ContrastResult)]
    assert str(table["seeds_needed"].dtype) == "Int64"


def test_result_objects_hold_what_the_table_holds() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.008), other=shifted(-0.1))
    contrasts = [("extra", "plain"), ("other", "plain")]
    objects = compare_contrasts(results, contrasts, rule=Rule())
    assert objects[0].seeds_needed is None
    rows = compare_arms(results, contrasts=contrasts).astype(object)
    for one, row in zip(objects, rows.to_dict("records"), strict=True):
        assert asdict(one) == {
            name: None if pd.isna(value) else value for name, value in row.items()
        }
    with pytest.raises(FrozenInstanceError):
        objects[0].p = 0.0  # type: ignore[misc]


def test_pairs_by_seed_whatever_the_order_of_rows() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.1))
    shuffled = results.sample(frac=1, random_state=3)
    assert row_of(shuffled)["p"] == row_of(results)["p"]


def test_contrasts_stay_in_the_order_they_were_named_in() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.1), other=shifted(0.0))
    contrasts = [("other", "extra"), ("extra", "plain"), ("plain", "other")]
    table = compare_arms(results, contrasts=contrasts)
    assert list(zip(table["arm"], table["against"], strict=True)) == contrasts


def test_the_contrasts_of_a_triangle_are_consistent() -> None:
    rng = np.random.default_rng(2)
    results = frame(**{arm: rng.uniform(size=4) for arm in "abr"})
    table = compare_arms(results, contrasts=[("a", "b"), ("a", "r"), ("b", "r")])
    a_b, a_r, b_r = table["difference"]
    assert a_b == pytest.approx(a_r - b_r, abs=1e-15)


def test_one_family_over_all_contrasts() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.02), other=shifted(0.0))
    alone = row_of(results)
    both = compare_arms(results, contrasts=[*ONE, ("other", "plain")])
    assert both["p"].iloc[0] == alone["p"]
    assert both["p_holm"].iloc[0] == pytest.approx(2 * alone["p_holm"])
    assert (both["low"].iloc[0], both["high"].iloc[0]) == (alone["low"], alone["high"])


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        pytest.param(0.10, "helps", id="large gain"),
        pytest.param(-0.10, "hurts", id="large loss"),
        pytest.param(-0.001, "no_gain", id="about nothing"),
        pytest.param(0.0049, "inconclusive", id="interval holds both 0 and the minimum gain"),
    ],
)
def test_verdicts(gain: float, verdict: str) -> None:
    assert row_of(frame(plain=PLAIN, extra=shifted(gain)), minimum_gain=0.01)["verdict"] == verdict


def test_a_certain_gain_below_the_minimum_is_no_gain() -> None:
    noise = (1e-4, -1e-4, 2e-4, -2e-4, 0)
    row = row_of(frame(plain=PLAIN, extra=shifted(0.005, noise)), minimum_gain=0.01)
    assert row["p_holm"] < 0.01
    assert row["verdict"] == "no_gain"


def test_no_gain_is_not_adjusted_for_the_family() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.0), other=shifted(0.001), third=shifted(-0.001))
    alone = row_of(results)
    table = compare_arms(results, contrasts=[(arm, "plain") for arm in ("extra", "other", "third")])
    assert alone["verdict"] == "no_gain"
    assert table["verdict"].iloc[0] == "no_gain"


REVIEWED = {  # the gains of the review's finding F3
    "filtered": (0.030, 0.004, 0.034, 0.012, 0.026),
    "copies": (0.01, -0.015, 0.012, 0, 0.02),
    "unfiltered": (0.02, -0.01, 0.015, 0, 0.01),
    "dropped": (0.01, -0.012, 0.02, 0.005, 0),
    "ceiling": (0.03, -0.02, 0.05, 0.01, 0.04),
}


def test_only_named_contrasts_are_tested_so_that_another_arm_changes_no_verdict() -> None:
    base = (0.400, 0.410, 0.395, 0.405, 0.402)
    arms = {arm: np.add(base, gain) for arm, gain in REVIEWED.items()}
    contrasts = [("filtered", "base")]
    few = compare_arms(frame(base=base, filtered=arms["filtered"]), contrasts=contrasts)
    many = compare_arms(frame(base=base, **arms), contrasts=contrasts)
    pd.testing.assert_frame_equal(few, many)
    assert few["p_holm"].iloc[0] == pytest.approx(0.0202, abs=1e-4)
    assert few["verdict"].tolist() == ["helps"]
    # a ceiling that lacks a seed is shown, not tested
    lacking = frame(base=base, **arms).query("arm != 'ceiling' or seed < 3")
    pd.testing.assert_frame_equal(few, compare_arms(lacking, contrasts=contrasts))
    # the same arms as named contrasts are a family of five
    named = compare_arms(frame(base=base, **arms), contrasts=[(arm, "base") for arm in REVIEWED])
    assert named["p_holm"].iloc[0] == pytest.approx(0.101, abs=1e-3)
    assert named["verdict"].iloc[0] == "inconclusive"


def test_image_variance_never_narrows_an_interval() -> None:
    # the review's finding F1: .0949 (p .029) became .0872 (p .019)
    results = frame(plain=(0.5,) * 4, extra=np.subtract(0.5, [0.094, 0.067, 0.050, 0.023]))
    without = row_of(results)
    assert without["high"] - without["low"] == pytest.approx(0.0949, abs=1e-4)
    assert without["p"] == pytest.approx(0.029, abs=1e-3)
    for num_images in (2, 87, None):
        with_images = row_of(results, image_variance={ONE[0]: 6e-5}, num_images=num_images)
        assert with_images["low"] < without["low"]
        assert with_images["high"] > without["high"]
        assert with_images["p"] > without["p"]


def test_margin_is_that_of_the_design() -> None:
    results, variance, num_images = frame(plain=PLAIN, extra=shifted(0.03)), 1e-4, 87
    row = row_of(results, image_variance={ONE[0]: variance}, num_images=num_images)
    of_seeds = np.var(np.subtract(shifted(0.03), PLAIN), ddof=1) / 5
    squared = stats.t.ppf(0.975, 4) ** 2 * of_seeds + stats.t.ppf(0.975, 86) ** 2 * variance
    assert row["high"] - row["difference"] == pytest.approx(np.sqrt(squared), rel=1e-12)
    known = row_of(results, image_variance={ONE[0]: variance})
    squared = stats.t.ppf(0.975, 4) ** 2 * of_seeds + stats.norm.ppf(0.975) ** 2 * variance
    assert known["difference"] - known["low"] == pytest.approx(np.sqrt(squared), rel=1e-12)


def test_the_interval_at_confidence_1_minus_p_ends_at_zero() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.01))
    images: Mapping[str, Any] = {"image_variance": {ONE[0]: 2e-5}, "num_images": 30}
    row = row_of(results, **images)
    assert row_of(results, confidence=1 - row["p"], **images)["low"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("gain", "before", "after"),
    [
        # p is .028 for helps and hurts: below .05, not below .025
        pytest.param(0.0075, "helps", "inconclusive", id="helps"),
        pytest.param(-0.0075, "hurts", "no_gain", id="hurts, and no gain besides"),
        pytest.param(0.003, "no_gain", "inconclusive", id="no gain"),
        pytest.param(0.1, "helps", "helps", id="a large gain"),
    ],
)
def test_after_an_extension_every_verdict_takes_more(gain: float, before: str, after: str) -> None:
    results = frame(plain=PLAIN, extra=shifted(gain))
    first, extended = row_of(results), row_of(results, extensions=1)
    assert (first["verdict"], extended["verdict"]) == (before, after)
    # what is shown stays unadjusted
    shown = ["difference", "low", "high", "p", "p_holm"]
    pd.testing.assert_series_equal(first[shown], extended[shown], check_names=False)


@pytest.mark.parametrize(
    "results",
    [
        pytest.param(frame(plain=(0.5,), extra=(0.6,)), id="one seed"),
        pytest.param(frame(plain=(0.0, 0.0), extra=(0.0, 0.0)), id="nothing learnt"),
        pytest.param(frame(plain=(0.3, 0.4), extra=(0.4, 0.5)), id="copied repetitions"),
    ],
)
def test_without_spread_there_is_no_interval(results: pd.DataFrame) -> None:
    for settings in ({}, {"image_variance": {ONE[0]: 1e-4}, "num_images": 87}):
        row = row_of(results, **settings)
        assert row["verdict"] == "inconclusive"
        assert row[["low", "high", "p", "p_holm"]].isna().all()
        assert pd.isna(row["seeds_needed"])


def test_a_contrast_without_spread_is_not_counted_in_the_family() -> None:
    results = frame(plain=PLAIN, extra=shifted(0.02), copied=np.add(PLAIN, 0.01))
    both = compare_arms(results, contrasts=[*ONE, ("copied", "plain")])
    assert both["p_holm"].iloc[0] == row_of(results)["p_holm"]
    assert np.isnan(both["p_holm"].iloc[1])


@pytest.mark.parametrize(
    ("results", "message"),
    [
        pytest.param(frame(plain=PLAIN, extra=PLAIN[:4]), "'extra' lacks seeds", id="pair"),
        pytest.param(frame(plain=PLAIN[:4], extra=PLAIN), "'plain' lacks seeds", id="other side"),
        pytest.param(frame(extra=PLAIN), "no arm 'plain'", id="no such arm"),
        pytest.param(frame(plain=(0.1, np.nan), extra=(0, 0)), "finite, got nan", id="nan"),
        pytest.param(frame(plain=(0.1, np.inf), extra=(0, 0)), "finite, got inf", id="infinite"),
        pytest.param(frame(plain=(1,)).drop(columns="seed"), "columns", id="no seed column"),
        pytest.param(
            pd.concat([frame(plain=PLAIN, extra=PLAIN), frame(plain=PLAIN)]),
            "'plain' has seed 0 twice",
            id="the same seed twice",
        ),
    ],
)
def test_refuses_incomplete_results(results: pd.DataFrame, message: str) -> None:
    with pytest.raises(SynthdataError, match=message):
        compare_arms(results, contrasts=ONE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"image_variance": {("plain", "extra"): 0.1}}, "no value for", id="missing"),
        pytest.param({"image_variance": {ONE[0]: np.nan}}, "finite, got nan", id="nan"),
        pytest.param({"image_variance": {ONE[0]: -1e-9}}, "at least 0", id="negative"),
        pytest.param({"num_images": 1}, "num_images must be at least 2", id="one image"),
        pytest.param({"confidence": 1}, "confidence must be between", id="confidence"),
        pytest.param({"minimum_gain": -0.01}, "minimum_gain must be", id="minimum gain"),
        pytest.param({"extensions": -1}, "extensions must be", id="extensions"),
    ],
)
def test_refuses_settings_outside_of_their_range(settings: Any, message: str) -> None:
    results = frame(plain=PLAIN, extra=shifted(0.1))
    with pytest.raises(SynthdataError, match=message):
        compare_arms(results, contrasts=ONE, **settings)


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        pytest.param([*ONE, *ONE], "named twice", id="twice"),
        pytest.param([*ONE, ("plain", "extra")], "named twice", id="twice, turned round"),
        pytest.param([("plain", "plain")], "two arms", id="with itself"),
        pytest.param([("plain",)], "pair", id="one arm"),
        pytest.param(["ab"], "pair", id="a string"),
    ],
)
def test_refuses_what_is_no_family(contrasts: Any, message: str) -> None:
    with pytest.raises(SynthdataError, match=message):
        compare_arms(frame(plain=PLAIN, extra=PLAIN, a=PLAIN, b=PLAIN), contrasts=contrasts)


def test_no_contrast_gives_an_empty_table() -> None:
    table = compare_arms(frame(plain=PLAIN), contrasts=[])
    assert len(table) == 0
    assert {"arm", "difference", "low", "high", "p", "p_holm", "verdict"} <= set(table.columns)
