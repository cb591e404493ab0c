"""What a choice brings, from results that did not make it."""

import numpy as np
import pandas as pd
import pytest

from synthdata.errors import SynthdataError
from synthdata.verdict import cross_fit
from synthdata.verdict.advice import Kind

ARMS: dict[str, Kind] = {"real": "reference", **{f"arm-{i}": "candidate" for i in range(8)}}


def halves(
    rng: np.random.Generator, gains: dict[str, float], num_seeds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    def half() -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"arm": arm, "seed": seed, "map50_95": 0.4 + gain + rng.normal(0, 0.01)}
                for arm, gain in gains.items()
                for seed in range(num_seeds)
            ]
        )

    return half(), half()


def test_what_is_judged_is_not_flattered() -> None:
    rng = np.random.default_rng(0)
    found = [cross_fit(halves(rng, dict.fromkeys(ARMS, 0.0), 6), arms=ARMS) for _ in range(50)]
    gains = np.array([one.gain.value for one in found])
    assert abs(gains.mean()) < 3 * gains.std() / np.sqrt(len(gains))
    assert np.mean([one.gain.low > 0 for one in found]) < 0.1
    assert {arm for one in found for arm in one.chosen} > {"real"}, "or there was no choice"


def test_a_good_arm_is_chosen_and_its_gain_found() -> None:
    rng = np.random.default_rng(1)
    gains = dict.fromkeys(ARMS, 0.0) | {"arm-3": 0.06}
    found = cross_fit(halves(rng, gains, 6), arms=ARMS)
    assert found.chosen == ("arm-3",) * 4
    assert found.gain.low < 0.06 < found.gain.high
    assert found.regret.value == 0


def test_each_quarter_is_judged_by_the_results_that_did_not_choose() -> None:
    """By hand: on each quarter another arm is best."""
    rows = {
        # arm: (first half: seed 0, seed 1), (second half: seed 0, seed 1)
        "real": ((0.0, 0.0), (0.0, 0.0)),
        "a": ((0.9, 0.1), (0.2, 0.3)),
        "b": ((0.4, 0.8), (0.6, 0.7)),
    }
    first, second = (
        pd.DataFrame(
            [
                {"arm": arm, "seed": seed, "map50_95": of_half[half][seed]}
                for arm, of_half in rows.items()
                for seed in (0, 1)
            ]
        )
        for half in (0, 1)
    )
    arms: dict[str, Kind] = {"real": "reference", "a": "candidate", "b": "candidate"}
    found = cross_fit((first, second), arms=arms)
    # Seed 0 judged: chosen by seed 1, which has b on both halves. Seed 1 judged: chosen by seed 0,
    # which has b on the second half, judged on the first, and a on the first.
    assert found.chosen == ("b", "b", "b", "a")
    assert found.gain.value == pytest.approx(np.mean([(0.4 + 0.6) / 2, (0.8 + 0.3) / 2]))
    assert found.regret.value == pytest.approx(np.mean([(0.5 + 0) / 2, (0 + 0.4) / 2]))


def test_the_images_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    scored = halves(rng, dict.fromkeys(ARMS, 0.0) | {"arm-3": 0.06}, 6)
    without = cross_fit(scored, arms=ARMS)
    wider = cross_fit(scored, arms=ARMS, image_variance={("arm-3", "real"): 4e-4}, num_images=87)
    assert wider.gain.value == without.gain.value
    assert wider.gain.low < without.gain.low
    assert wider.gain.high > without.gain.high


def test_one_seed_has_no_halves() -> None:
    with pytest.raises(SynthdataError, match="at least two seeds, got 1"):
        cross_fit(halves(np.random.default_rng(0), dict.fromkeys(ARMS, 0.0), 1), arms=ARMS)
