"""Which arm is advised, and what is said of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from synthdata import advise, compare_arms
from synthdata.errors import SynthdataError
from synthdata.verdict import choose
from synthdata.verdict.advice import Kind
from synthdata.verdict.choice import choose_arm

ARMS: Mapping[str, Kind] = {
    "real": "reference", "pasted": "free", "synthetic": "candidate", "oracle": "ceiling",
}  # fmt: skip


def frame(scores: Mapping[str, Sequence[float]], first_seed: int = 0) -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": first_seed + i, "map50_95": value}
        for arm, values in scores.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def around(**means: float) -> dict[str, list[float]]:
    """Three seeds an arm, its own noise each."""
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 9))
    return {
        arm: list(mean + noise[:, i] - noise[:, i].mean())
        for i, (arm, mean) in enumerate(means.items())
    }


def test_the_best_is_left_for_a_cheaper_one_within_a_standard_error() -> None:
    scores = around(real=0.4, pasted=0.5, synthetic=0.502)
    found = frame(scores)
    difference = np.array(scores["synthetic"]) - scores["pasted"]
    assert difference.mean() < difference.std(ddof=1) / np.sqrt(3)

    assert choose_arm(found, arms=["real", "pasted", "synthetic"]) == "pasted"
    assert choose_arm(found, arms=["synthetic", "pasted"]) == "synthetic", "the first is cheapest"


def test_an_arm_that_is_clearly_better_is_taken_though_it_costs_more() -> None:
    choice = choose(frame(around(real=0.4, pasted=0.5, synthetic=0.55)), arms=ARMS | {})
    assert (choice.arm, choice.free) == ("synthetic", "pasted")
    assert choice.contrasts == (("synthetic", "real"), ("synthetic", "pasted"))


@pytest.mark.parametrize(
    "order", [["real", "pasted", "synthetic"], ["synthetic", "pasted", "real"]]
)
def test_of_equal_scores_the_cheapest_is_advised(order: list[str]) -> None:
    equal = frame({arm: [0.41, 0.42, 0.43] for arm in order})
    advice = advise(equal, arms={arm: ARMS[arm] for arm in order})
    assert (advice.arm, advice.kind) == ("real", "reference")
    assert (advice.gain, advice.low, advice.over_free, advice.verdict) == (0, None, 0, None)
    assert advice.sentence.startswith("Nothing beats real here")


def test_a_ceiling_is_never_advised() -> None:
    scores = around(real=0.4, pasted=0.5, synthetic=0.4, oracle=0.9)
    assert advise(frame(scores), arms=ARMS).arm == "pasted"


def test_results_that_chose_the_arm_give_no_interval() -> None:
    advice = advise(frame(around(real=0.4, pasted=0.5, synthetic=0.45)), arms=ARMS)
    assert advice.arm == "pasted"
    assert advice.gain == pytest.approx(0.1)
    assert (advice.low, advice.high, advice.verdict) == (None, None, None)
    assert "on the seeds and images that chose it" in advice.sentence


def test_the_gain_is_that_of_results_that_did_not_choose() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.55), first_seed=100)
    results = frame(around(real=0.4, pasted=0.48, synthetic=0.5))
    variance = {("synthetic", "real"): 1e-5, ("synthetic", "pasted"): 2e-5}

    advice = advise(results, arms=ARMS, selection=selection, image_variance=variance, num_images=87)

    expected = compare_arms(
        results, contrasts=list(variance), image_variance=variance, num_images=87
    ).iloc[0]
    assert (advice.arm, advice.kind) == ("synthetic", "candidate")
    assert advice.gain == pytest.approx(0.1)
    assert advice.over_free == pytest.approx(0.02)
    assert (advice.low, advice.high) == (expected["low"], expected["high"])
    assert advice.verdict == expected["verdict"] == "helps"
    assert advice.sentence.startswith(
        "Take synthetic: +0.100 mAP50-95 (95\N{NO-BREAK SPACE}% interval "
    )
    assert "over pasted, the best that is free" in advice.sentence


def test_images_that_chose_the_arm_do_not_judge_it() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.55), first_seed=100)
    results = frame(around(real=0.4, pasted=0.48, synthetic=0.5))
    advice = advise(results, arms=ARMS, selection=selection, fresh_images=False)
    assert (advice.arm, advice.gain) == ("synthetic", pytest.approx(0.1))
    assert (advice.low, advice.high, advice.verdict) == (None, None, None)
    assert "on the images that chose it" in advice.sentence


def test_seeds_added_after_a_verdict_make_it_stricter() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.4), first_seed=100)
    results = frame(around(real=0.4, pasted=0.45, synthetic=0.4))
    first, later = (
        advise(results, arms=ARMS, selection=selection, extensions=number) for number in (0, 99)
    )
    assert (first.verdict, later.verdict) == ("helps", "inconclusive")
    assert first.low == later.low, "the interval is shown unadjusted"


def test_copy_paste_may_be_enough() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.5), first_seed=100)
    results = frame(around(real=0.4, pasted=0.5, synthetic=0.5))
    advice = advise(results, arms=ARMS, selection=selection, titles={"pasted": "Copy-paste"})
    assert advice.sentence.startswith("Copy-paste is enough here, and free: +0.100")


def test_a_choice_that_does_not_hold_is_said_to_be_not_shown() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.4), first_seed=100)
    results = frame(around(real=0.4, pasted=0.4, synthetic=0.4))
    advice = advise(results, arms=ARMS, selection=selection)
    assert (advice.arm, advice.verdict) == ("pasted", "inconclusive")
    assert "not shown to help" in advice.sentence


def test_one_fresh_repetition_gives_no_interval() -> None:
    selection = frame(around(real=0.4, pasted=0.5, synthetic=0.4), first_seed=100)
    results = frame({"real": [0.4], "pasted": [0.5], "synthetic": [0.4]})
    advice = advise(results, arms=ARMS, selection=selection)
    assert (advice.gain, advice.low) == (pytest.approx(0.1), None)
    assert "without an interval" in advice.sentence


def test_selection_and_results_must_not_share_seeds() -> None:
    scores = frame(around(real=0.4, pasted=0.5, synthetic=0.4))
    with pytest.raises(SynthdataError, match=r"have seeds \[0, 1, 2\] in common"):
        advise(scores, arms=ARMS, selection=scores)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"pasted": "free"}, "as the only reference, got none"),
        ({"real": "reference", "other": "reference"}, "as the only reference, got"),
        ({"real": "reference", "pasted": "cheap"}, "must be one of"),
        ({"real": "reference", "missing": "free"}, "no arm 'missing'"),
    ],
)
def test_arms_that_are_no_choice_are_refused(arms: dict[str, Kind], message: str) -> None:
    with pytest.raises(SynthdataError, match=message):
        advise(frame(around(real=0.4, pasted=0.5, other=0.4)), arms=arms)
