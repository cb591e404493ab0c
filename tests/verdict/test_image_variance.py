from itertools import combinations

import numpy as np
import pytest

from synthdata.errors import SynthdataError
from synthdata.verdict import image_variance


def reference_implementation(differences: np.ndarray) -> float:
    known = differences[:, np.isfinite(differences).all(axis=0)]
    pairs = [np.cov(known[i], known[j])[0, 1] for i, j in combinations(range(len(known)), 2)]
    return max(float(np.mean(pairs)), 0.0)


def scores(
    rng: np.random.Generator, num_seeds: int, shared: float, num_resamples: int = 60
) -> np.ndarray:
    """Scores whose repetitions have a share of what the images do in common."""
    common = rng.normal(0, shared, num_resamples)
    return 0.5 + common + rng.normal(0, 0.05, (num_seeds, num_resamples))


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_is_the_mean_covariance_of_pairs_of_repetitions(num_seeds: int) -> None:
    rng = np.random.default_rng(num_seeds)
    resampled = {
        arm: scores(rng, num_seeds, shared)
        for arm, shared in zip("abc", (0.1, 0.02, 0), strict=True)
    }
    contrasts = [("a", "c"), ("b", "a")]
    found = image_variance(resampled, contrasts=contrasts)
    assert list(found) == contrasts
    for arm, against in contrasts:
        expected = reference_implementation(resampled[arm] - resampled[against])
        assert expected > 0
        assert found[arm, against] == pytest.approx(expected, rel=1e-12)


def test_what_differs_between_repetitions_does_not_count() -> None:
    rng = np.random.default_rng(0)
    shared, own, num_seeds, num_resamples = 0.1, 0.2, 4, 20000
    images = rng.normal(0, shared, num_resamples)
    resampled = {
        "a": images + rng.normal(0, own, (num_seeds, num_resamples)),
        "b": np.zeros((num_seeds, num_resamples)),
    }
    found = image_variance(resampled, contrasts=[("a", "b")])["a", "b"]
    assert found == pytest.approx(shared**2, rel=0.05)
    # the variance of the mean over repetitions would count it a second time
    assert np.var(resampled["a"].mean(axis=0)) > 1.5 * found


def test_what_both_arms_gain_on_a_resample_does_not_count() -> None:
    rng = np.random.default_rng(1)
    plain = scores(rng, 3, 0.1)
    found = image_variance({"a": plain + 0.1, "b": plain}, contrasts=[("a", "b")])
    assert found["a", "b"] == pytest.approx(0, abs=1e-20)


def test_is_at_least_0() -> None:
    opposite = np.array([[0.1, -0.1, 0.2, -0.2], [-0.1, 0.1, -0.2, 0.2]])
    assert np.cov(opposite)[0, 1] < 0
    resampled = {"a": opposite, "b": np.zeros((2, 4))}
    assert image_variance(resampled, contrasts=[("a", "b")]) == {("a", "b"): 0.0}


def test_a_single_repetition_gives_its_variance() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 1, 50))
    found = image_variance({"a": a, "b": b}, contrasts=[("a", "b")])
    assert found["a", "b"] == pytest.approx(np.var(a - b, ddof=1))


def test_resamples_without_an_object_are_left_out() -> None:
    rng = np.random.default_rng(3)
    a, b = scores(rng, 3, 0.1), scores(rng, 3, 0.1)
    a[:, 4] = b[:, 4] = np.nan
    a[1, 7] = np.nan
    kept = np.delete(np.arange(60), [4, 7])
    found = image_variance({"a": a, "b": b}, contrasts=[("a", "b")])["a", "b"]
    assert found == pytest.approx(reference_implementation((a - b)[:, kept]))
    assert (
        found
        == image_variance({"a": a[:, kept], "b": b[:, kept]}, contrasts=[("a", "b")])["a", "b"]
    )


@pytest.mark.parametrize(
    ("resampled", "message"),
    [
        pytest.param({"a": np.zeros((2, 9))}, r"no scores of arms \['b'\]", id="missing arm"),
        pytest.param({"a": np.zeros((2, 9)), "b": np.zeros((3, 9))}, "one shape", id="shapes"),
        pytest.param({"a": np.zeros(9), "b": np.zeros(9)}, "one shape", id="no seeds' axis"),
        pytest.param(
            {"a": np.full((2, 9), np.nan), "b": np.zeros((2, 9))}, "two resamples", id="all nan"
        ),
    ],
)
def test_refuses_what_has_no_variance(resampled: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(SynthdataError, match=message):
        image_variance(resampled, contrasts=[("a", "b")])
