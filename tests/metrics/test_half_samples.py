import numpy as np
import pytest

from synthdata.metrics.clip import cmmd
from synthdata.metrics.half_samples import Items, Measure, Resampling, estimate
from synthdata.metrics.measures import CLIP_SCORE, CMMD

RNG = np.random.default_rng(0)
ONCE = Resampling(seed=0, num_draws=40)


def vectors(num: int, *, shift: float = 0, rng: np.random.Generator = RNG) -> Items:
    return Items.independent((rng.normal(size=(num, 3)) + shift).astype(np.float32))


def numbers(num: int, *, of_unit: int = 1) -> Items:
    """Items whose values tell their units."""
    unit = np.repeat(np.arange(num), of_unit)
    return Items(unit, unit)


def spread_of_crops(unit: np.ndarray | None) -> float:
    """The width of the interval of a mean over 30 images, 6 crops each, that differ by image."""
    values = np.random.default_rng(1).normal(size=30).repeat(6)
    items = Items.independent(values) if unit is None else Items(values, unit)
    found = estimate(CLIP_SCORE, real=items, generated=items, resampling=Resampling(seed=0))
    return found["clip_score"].high - found["clip_score"].low


def test_the_interval_covers_the_truth_at_its_nominal_rate() -> None:
    shift, rng = 0.6, np.random.default_rng(7)
    truth = cmmd(
        features_real=vectors(3000, rng=rng).values,
        features_generated=vectors(3000, shift=shift, rng=rng).values,
    )
    found = [
        estimate(
            CMMD,
            real=vectors(24, rng=rng),
            generated=vectors(40, shift=shift, rng=rng),
            resampling=Resampling(seed=seed, num_draws=50, confidence=0.9),
        )["cmmd"]
        for seed in range(100)
    ]
    assert {one.num for one in found} == {12}
    assert 0.85 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.98
    values = [one.value for one in found]
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / 100**0.5)
    between = [one.halves for one in found]
    assert abs(np.mean(between)) < 3 * np.std(between) / 100**0.5


def test_equal_sets_give_an_interval_around_what_real_halves_give() -> None:
    found = estimate(CMMD, real=vectors(60), generated=vectors(60), resampling=ONCE)["cmmd"]
    assert found.low < found.halves < found.high
    assert found.low < 0 < found.high


def test_halves_have_one_size_and_no_item_twice() -> None:
    def compute(real: np.ndarray, other: np.ndarray) -> tuple[float, ...]:
        assert len(real) == len(other) == 15
        return (float(len(np.unique(real)) + len(np.unique(other))),)

    found = estimate(
        Measure(("different",), compute), real=numbers(30), generated=numbers(300), resampling=ONCE
    )["different"]
    assert (found.value, found.halves, found.num) == (30, 30, 15)


@pytest.mark.parametrize("of_unit", [1, 2, 7])
def test_no_unit_is_in_both_real_halves(of_unit: int) -> None:
    shared = Measure(("shared",), lambda a, b: (float(len(np.intersect1d(a, b))),))
    found = estimate(
        shared,
        real=numbers(25, of_unit=of_unit),
        generated=numbers(25, of_unit=of_unit),
        resampling=Resampling(seed=0, num_draws=100),
    )["shared"]
    assert found.halves == 0
    assert found.num == (25 * of_unit + 1 - of_unit) // 2
    assert found.value > 0


def test_a_generated_half_has_the_layouts_that_the_real_half_has_not() -> None:
    crops = numbers(25, of_unit=3)
    shared = Measure(("shared",), lambda a, b: (float(len(np.intersect1d(a, b))),))

    found = estimate(shared, real=crops, generated=crops, resampling=ONCE, paired=True)["shared"]

    assert (found.value, found.halves, found.differs) == (0, 0, False)
    with pytest.raises(ValueError, match="paired items need the same units"):
        estimate(shared, real=crops, generated=numbers(25), resampling=ONCE, paired=True)


def test_images_as_good_as_real_ones_do_not_differ() -> None:
    real = vectors(60)
    same = estimate(CMMD, real=real, generated=real, resampling=ONCE, paired=True)["cmmd"]
    assert same.value == same.halves
    assert not same.differs
    moved = Items(real.values + 2, real.unit)
    assert estimate(CMMD, real=real, generated=moved, resampling=ONCE, paired=True)["cmmd"].differs


def test_other_images_of_the_same_layouts_seldom_differ_and_their_interval_covers() -> None:
    rng = np.random.default_rng(3)
    found = []
    for seed in range(60):
        layouts = rng.normal(size=(40, 3))
        real, generated = (
            Items.independent((layouts + rng.normal(0, 0.5, (40, 3))).astype(np.float32))
            for _ in range(2)
        )
        chosen = Resampling(seed=seed, num_draws=40)
        found.append(
            estimate(CMMD, real=real, generated=generated, resampling=chosen, paired=True)["cmmd"]
        )
    assert np.mean([one.differs for one in found]) <= 0.08
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.95


def test_half_of_the_items_must_not_come_from_a_few_units() -> None:
    one_crowd = Items(np.arange(100), np.concatenate([np.zeros(81, int), np.arange(1, 20)]))
    found = estimate(CLIP_SCORE, real=one_crowd, generated=one_crowd, resampling=ONCE)
    assert "independent ones on average, 10 are needed" in found["clip_score"].reason


def test_sets_are_matched_in_units_and_in_items() -> None:
    def compute(real: np.ndarray, other: np.ndarray) -> tuple[float, ...]:
        return len(real), len(np.unique(real)), len(np.unique(other))

    found = estimate(
        Measure(("items", "real_units", "other_units"), compute),
        real=numbers(40, of_unit=3),
        generated=numbers(400, of_unit=6),
        resampling=ONCE,
    )
    # 120 of the generated items stay, 40 units' with 3 on average: a half holds about half.
    assert found["items"].value == 59
    assert 20 <= found["real_units"].value <= 21
    assert 18 <= found["other_units"].value <= 24


def test_items_of_one_unit_stand_or_fall_together() -> None:
    by_image = np.arange(30).repeat(6)
    shuffled = np.random.default_rng(2).permutation(by_image)
    assert spread_of_crops(by_image) > 1.8 * spread_of_crops(None)
    assert spread_of_crops(shuffled) < 1.3 * spread_of_crops(None)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    scores = Items.independent(np.random.default_rng(3).normal(5, 2, 200))
    found = estimate(
        CLIP_SCORE, real=scores, generated=scores, resampling=Resampling(seed=0, num_draws=400)
    )["clip_score"]
    error = scores.values.std(ddof=1) / 200**0.5
    assert found.value == pytest.approx(scores.values.mean(), abs=0.2 * error)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_seeds() -> None:
    real, generated = vectors(30), vectors(50, shift=0.3)

    def of_seed(seed: int) -> object:
        return estimate(
            CMMD, real=real, generated=generated, resampling=Resampling(seed, num_draws=20)
        )

    assert of_seed(0) == of_seed(0)
    assert of_seed(0) != of_seed(1)


@pytest.mark.parametrize(
    ("real", "generated", "reason"),
    [
        (numbers(19), numbers(50), "20 independent items of each set are needed at one size, "
            "there are 19"),
        (numbers(50), numbers(0), "at one size, there are 0"),
        (numbers(19, of_unit=9), numbers(19, of_unit=9), "at one size, there are 19"),
        (numbers(40), numbers(27), "14 items of each set are needed in a half-sample, "
            "there are 13: it is so"),
    ],
)  # fmt: skip
def test_too_few_items_give_the_reason(real: Items, generated: Items, reason: str) -> None:
    def compute(*_: np.ndarray) -> tuple[float, ...]:
        raise AssertionError("it must not be computed")

    measure = Measure(("a", "b"), compute, minimum=14, because="it is so")
    found = estimate(measure, real=real, generated=generated, resampling=ONCE)
    assert list(found) == ["a", "b"]
    for one in found.values():
        assert (one.value, one.low, one.high, one.halves) == (None,) * 4
        assert reason in one.reason


def test_a_value_that_some_halves_lack_is_no_value() -> None:
    def compute(_: np.ndarray, other: np.ndarray) -> tuple[float | None, ...]:
        return (1.0, None if 0 in other else 2.0)

    found = estimate(
        Measure(("always", "rare"), compute), real=numbers(40), generated=numbers(40),
        resampling=ONCE,
    )  # fmt: skip
    assert found["always"].value == 1
    assert found["always"].reason == ""
    assert found["rare"].value is None
    assert found["rare"].reason.startswith("too rare to be measured: in ")


def test_bad_items_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 5 values and units of shape \(4,\)"):
        Items(np.zeros((5, 2)), np.zeros(4, np.int64))
    bad = Items.independent(np.full((30, 3), np.nan))
    with pytest.raises(ValueError, match="must be finite"):
        estimate(CMMD, real=bad, generated=vectors(30), resampling=ONCE)
