"""How often the advice is right, over simulated searches: chosen on val, judged on fresh seeds."""

from collections import Counter

import numpy as np
import pandas as pd

from synthdata.verdict import Advice, advise
from synthdata.verdict.advice import Kind

SEED_SD = 0.0085  # of an arm's score: paired differences have an SD of .012


def simulate(
    gains: dict[str, float], kinds: dict[str, Kind], *, seed: int, runs: int = 100
) -> list[Advice]:
    """Return the advice of `runs` searches; `gains` are the arms' true ones over the reference."""
    rng = np.random.default_rng(seed)

    def results(first: int, num_seeds: int) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"arm": arm, "seed": first + i, "map50_95": 0.45 + gain + rng.normal(0, SEED_SD)}
                for arm, gain in gains.items()
                for i in range(num_seeds)
            ]
        )

    return [advise(results(0, 5), arms=kinds, selection=results(100, 3)) for _ in range(runs)]


def test_equal_recipes_are_not_said_to_help() -> None:
    names = [f"recipe-{i}" for i in range(12)]
    kinds: dict[str, Kind] = {"real": "reference", **dict.fromkeys(names, "candidate")}
    found = simulate(dict.fromkeys(kinds, 0.0), kinds, seed=0, runs=400)
    assert sum(one.kind == "candidate" for one in found) > 100, "or nothing was tested"
    false = np.mean([one.verdict == "helps" for one in found])
    assert false <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)


def test_one_of_three_good_recipes_is_advised_and_found_to_help() -> None:
    names = ["pasted", "synthetic", "mix"]
    kinds: dict[str, Kind] = {
        "real": "reference", "pasted": "free", "synthetic": "candidate", "mix": "candidate",
    }  # fmt: skip
    found = simulate({"real": 0.0, **dict.fromkeys(names, 0.05)}, kinds, seed=1)
    assert np.mean([one.arm in names for one in found]) >= 0.9
    assert np.mean([one.verdict == "helps" for one in found]) >= 0.8
    advised = Counter(one.arm for one in found)
    assert advised.most_common(1)[0][0] == "pasted", "the cheapest of equal ones"
    assert np.mean([one.gain for one in found if one.arm in names]) < 0.055, "nothing is flattered"


def test_little_is_lost_where_a_synthetic_recipe_is_better_than_a_free_one() -> None:
    gains = {"real": 0.0, "pasted": 0.03, "synthetic": 0.05}
    kinds: dict[str, Kind] = {"real": "reference", "pasted": "free", "synthetic": "candidate"}
    found = simulate(gains, kinds, seed=2)
    regret = np.mean([max(gains.values()) - gains[one.arm] for one in found])
    assert regret <= 0.005
