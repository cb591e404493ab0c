from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthdata.errors import SynthdataError
from synthdata.evaluation import compare_arms, image_variances, recovered_fraction
from synthdata.paired import holm

REAL = (0.50, 0.52, 0.47, 0.51, 0.49)


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
    return tuple(real + gain + extra for real, extra in zip(REAL, noise, strict=True))


def test_equals_the_paired_t_test() -> None:
    other = (0.55, 0.54, 0.53, 0.52, 0.56)
    row = compare_arms(frame(real=REAL, synthetic=other)).iloc[0]
    test = stats.ttest_rel(other, REAL)
    low, high = test.confidence_interval(0.95)
    assert row["p"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["difference"] == pytest.approx(np.mean(other) - np.mean(REAL))
    assert row["seeds"] == 5


def test_pairs_by_seed_whatever_the_order_of_rows() -> None:
    results = frame(real=REAL, synthetic=shifted(0.1))
    shuffled = results.sample(frac=1, random_state=3)
    assert compare_arms(shuffled)["p"].tolist() == compare_arms(results)["p"].tolist()


def test_holm_multiplies_by_the_number_still_in_play_and_never_decreases() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    # sorted .005 .01 .03 .04, times 4 3 2 1 = .02 .03 .06 .04, made monotone
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).max() <= 1


def test_contrasts_are_adjusted_together() -> None:
    alone = compare_arms(frame(real=REAL, synthetic=shifted(0.02)))
    both = compare_arms(frame(real=REAL, synthetic=shifted(0.02), copy_paste=shifted(0.0)))
    assert both["p"].iloc[0] == alone["p"].iloc[0]
    assert both["p_holm"].iloc[0] == pytest.approx(2 * alone["p_holm"].iloc[0])


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
    table = compare_arms(frame(real=REAL, synthetic=shifted(gain)), minimum_gain=0.01)
    assert table["verdict"].tolist() == [verdict]


def test_a_certain_gain_below_the_minimum_is_no_gain() -> None:
    noise = (1e-4, -1e-4, 2e-4, -2e-4, 0)
    table = compare_arms(frame(real=REAL, synthetic=shifted(0.005, noise)), minimum_gain=0.01)
    assert table["p_holm"].iloc[0] < 0.01
    assert table["verdict"].tolist() == ["no_gain"]


def test_image_variance_widens_the_interval_as_welch_and_satterthwaite_say() -> None:
    results = frame(real=REAL, synthetic=shifted(0.03))
    extra = 1e-4
    row = compare_arms(results, image_variance={"synthetic": extra}).iloc[0]
    of_seeds = np.var(np.subtract(shifted(0.03), REAL), ddof=1) / 5
    freedom = (of_seeds + extra) ** 2 / (of_seeds**2 / 4)
    margin = stats.t.ppf(0.975, freedom) * np.sqrt(of_seeds + extra)
    assert row["high"] - row["difference"] == pytest.approx(margin)
    assert row["p"] > compare_arms(results).iloc[0]["p"]


def test_image_variances_are_of_the_mean_difference() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(2, 3, 50))
    expected = np.var((synthetic - real).mean(axis=0), ddof=1)
    assert image_variances({"real": real, "synthetic": synthetic}) == {
        "synthetic": pytest.approx(expected)
    }
    # what both arms gain on a resample doesn't count
    assert image_variances({"real": real, "synthetic": real + 0.1})["synthetic"] == pytest.approx(
        0, abs=1e-20
    )


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    gain, image_sd, seed_sd, num_images, num_seeds, num_runs = 0.02, 0.3, 0.02, 100, 5, 600
    # each image's effect is shared by all seeds; each seed adds its own
    effects = gain + rng.normal(0, image_sd, (num_runs, num_images))
    per_seed = effects.mean(axis=1)[:, None] + rng.normal(0, seed_sd, (num_runs, num_seeds))
    scores = {str(run): 0.5 + row for run, row in enumerate(per_seed)}
    variance = {str(run): row.var(ddof=1) / num_images for run, row in enumerate(effects)}
    results = frame(real=(0.5,) * num_seeds, **scores)
    table = compare_arms(results, image_variance=variance, minimum_gain=1)
    assert 0.925 <= np.mean((table["low"] <= gain) & (gain <= table["high"])) <= 0.975
    # what leaving the test images' share out would claim
    narrow = compare_arms(results, minimum_gain=1)
    assert np.mean((narrow["low"] <= gain) & (gain <= narrow["high"])) < 0.7


def test_seeds_needed_gives_the_power_it_promises() -> None:
    rng = np.random.default_rng(1)
    row = compare_arms(frame(real=(0.5,) * 3, synthetic=(0.51, 0.55, 0.50))).iloc[0]
    assert row["verdict"] == "inconclusive"
    n, spread = int(row["seeds_needed"]), np.std([0.01, 0.05, 0.0], ddof=1)
    draws = rng.normal(row["difference"], spread, size=(4000, n))
    settled = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert 0.78 <= settled.mean() <= 0.9


def test_no_number_of_seeds_helps_where_the_test_set_is_too_small() -> None:
    row = compare_arms(
        frame(real=REAL, synthetic=shifted(0.02)), image_variance={"synthetic": 0.01}
    ).iloc[0]
    assert row["verdict"] == "inconclusive"
    assert pd.isna(row["seeds_needed"])


@pytest.mark.parametrize(
    "results",
    [
        pytest.param(frame(real=(0.5,), synthetic=(0.6,)), id="one seed"),
        pytest.param(frame(real=(0.0, 0.0), synthetic=(0.0, 0.0)), id="nothing learnt"),
        pytest.param(frame(real=(0.3, 0.4), synthetic=(0.4, 0.5)), id="copied repetitions"),
    ],
)
def test_without_spread_there_is_no_interval(results: pd.DataFrame) -> None:
    row = compare_arms(results).iloc[0]
    assert row["verdict"] == "inconclusive"
    assert np.isnan([row["low"], row["high"], row["p"], row["p_holm"]]).all()
    assert pd.isna(row["seeds_needed"])


@pytest.mark.parametrize(
    ("results", "message"),
    [
        pytest.param(frame(real=REAL, synthetic=REAL[:4]), "lacks seeds", id="missing pair"),
        pytest.param(frame(real=REAL[:4], synthetic=REAL), "'real' lacks", id="missing reference"),
        pytest.param(frame(synthetic=REAL), "no arm 'real'", id="no reference"),
        pytest.param(frame(real=(0.1, np.nan), synthetic=(0, 0)), "finite", id="nan"),
        pytest.param(frame(real=(1,)).drop(columns="seed"), "columns", id="no seed column"),
        pytest.param(
            pd.concat([frame(real=REAL), frame(real=REAL)]), "twice", id="the same seed twice"
        ),
    ],
)
def test_refuses_incomplete_results(results: pd.DataFrame, message: str) -> None:
    with pytest.raises(SynthdataError, match=message):
        compare_arms(results)


def test_refuses_a_missing_image_variance() -> None:
    with pytest.raises(SynthdataError, match="copy_paste"):
        compare_arms(frame(real=REAL, copy_paste=shifted(0.1)), image_variance={"synthetic": 0.1})


def test_only_the_reference_gives_an_empty_table() -> None:
    table = compare_arms(frame(real=REAL))
    assert len(table) == 0
    assert {"arm", "difference", "low", "high", "p", "p_holm", "verdict"} <= set(table.columns)


def test_recovered_fraction_of_the_oracles_gain() -> None:
    results = frame(real=(0.4, 0.5), synthetic=(0.45, 0.55), oracle=(0.5, 0.7))
    assert recovered_fraction(results) == {"synthetic": pytest.approx(0.05 / 0.15)}
    worse = frame(real=(0.4, 0.5), synthetic=(0.45, 0.55), oracle=(0.4, 0.4))
    assert np.isnan(recovered_fraction(worse)["synthetic"])
    with pytest.raises(SynthdataError, match="oracle"):
        recovered_fraction(frame(real=REAL, synthetic=REAL))
