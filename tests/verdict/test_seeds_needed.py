import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthdata.verdict import compare_arms
from synthdata.verdict.family import Rule, judge
from synthdata.verdict.margin import Spread, paired_spread
from synthdata.verdict.seeds import power, seeds_needed


def spread_of(seed_variance: float, image_variance: float = 0.0, num_seeds: int = 5) -> Spread:
    return Spread(np.float64(seed_variance / num_seeds), np.float64(image_variance), num_seeds, 87)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10, 100])
def test_power_is_that_of_the_paired_t_test(num_seeds: int) -> None:
    for gain, level in ((0.3, 0.05), (1.0, 0.05), (1.0, 0.0125), (3.0, 0.01)):
        critical = stats.t.ppf(1 - level / 2, num_seeds - 1)
        expected = stats.nct.sf(critical, num_seeds - 1, gain * np.sqrt(num_seeds))
        found = power(spread_of(1.0, num_seeds=num_seeds), gain=gain, level=level)
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("image_variance", [0.0, 1e-6, 4e-6])
@pytest.mark.parametrize("num_contrasts", [1, 4])
def test_seeds_needed_give_the_power_they_promise(
    image_variance: float, num_contrasts: int
) -> None:
    rng, runs, gain, seed_sd = np.random.default_rng(1), 4000, 0.01, 0.012
    spread = spread_of(seed_sd**2, image_variance)
    needed = seeds_needed(spread, rule=Rule(minimum_gain=gain), num_contrasts=num_contrasts)
    assert needed is not None
    for num_seeds, expected in ((needed, True), (needed - 1, False)):
        draws = rng.normal(0, seed_sd, (num_seeds, runs, 1)) + rng.normal(
            0, np.sqrt(image_variance), (runs, 1)
        )
        planned = paired_spread(
            draws, image_variance=np.full((runs, 1), image_variance), num_images=87
        )
        # Bonferroni's level
        rule = Rule(minimum_gain=gain, confidence=1 - 0.05 / num_contrasts)
        shown = np.mean(judge(draws.mean(axis=0) + gain, planned, rule).p < rule.level)
        assert (shown > 0.8 - 0.02) if expected else (shown < 0.8 + 0.02)
        # where there is no gain, the minimum gain is excluded at least as often
        if expected:
            excluded = judge(draws.mean(axis=0), planned, Rule(gain)).high < gain
            assert excluded.mean() > 0.8 - 0.02


def test_more_contrasts_and_extensions_ask_for_more_seeds() -> None:
    spread = spread_of(0.012**2, 1e-6)
    needed = [
        seeds_needed(spread, rule=Rule(extensions=extensions), num_contrasts=num_contrasts)
        for extensions, num_contrasts in ((0, 1), (0, 4), (1, 4))
    ]
    assert needed == sorted(set(needed))


def test_no_number_of_seeds_is_enough_where_the_images_decide() -> None:
    assert seeds_needed(spread_of(0.01**2, 0.01), rule=Rule(), num_contrasts=1) is None
    assert seeds_needed(spread_of(1.0), rule=Rule(), num_contrasts=1) is None
    assert seeds_needed(spread_of(0.01**2), rule=Rule(minimum_gain=0), num_contrasts=1) is None
    assert seeds_needed(spread_of(np.nan), rule=Rule(), num_contrasts=1) is None


def test_does_not_depend_on_the_observed_difference() -> None:
    noise = np.array([0.02, -0.03, 0.025, -0.02, 0.005])
    gains = (-0.005, 0.0, 0.011, 0.02)
    tables = [
        compare_arms(
            pd.DataFrame(
                {
                    "arm": ["extra"] * 5 + ["plain"] * 5,
                    "seed": [*range(5), *range(5)],
                    "map50_95": [*(0.5 + gain + noise), *[0.5] * 5],
                }
            ),
            contrasts=[("extra", "plain")],
        )
        for gain in gains
    ]
    assert {table["verdict"].iloc[0] for table in tables} == {"inconclusive"}
    assert len({int(table["seeds_needed"].iloc[0]) for table in tables}) == 1


def test_a_settled_contrast_needs_none() -> None:
    results = pd.DataFrame(
        {"arm": ["a"] * 3 + ["b"] * 3, "seed": [0, 1, 2] * 2, "map50_95": [5, 5.1, 5.2, 1, 1, 1]}
    )
    table = compare_arms(results, contrasts=[("a", "b")])
    assert table["verdict"].tolist() == ["helps"]
    assert pd.isna(table["seeds_needed"].iloc[0])
