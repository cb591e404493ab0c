"""Do the synthetic images help? Arms compared over paired repetitions, with a verdict each.

One repetition (a seed) trains every arm on the same real draw with the same detector seed, so
that an arm and the reference differ by the training images only, and it is their differences
that are judged. Two things make them uncertain: what the seed changes (draw, generator,
detector) and which images happen to be in the test set.

Sources: Student's t for paired differences; B. L. Welch, Biometrika 34, 1947, for the degrees of
freedom of a sum of two variances; S. Holm, Scandinavian Journal of Statistics 6, 1979.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.paired import Contrast, holm, paired_contrast, seeds_needed

Verdict = Literal["helps", "hurts", "no_gain", "inconclusive"]


def compare_arms(
    results: pd.DataFrame,
    *,
    reference: str = "real",
    image_variance: Mapping[str, float] | None = None,
    minimum_gain: float = 0.01,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare each arm with the reference over paired seeds.

    The squared standard error of an arm's mean difference is the variance over seeds divided
    by their number, plus the arm's `image_variance`. Its degrees of freedom follow Welch and
    Satterthwaite, where the image variance, which comes from hundreds of resamples of a test
    set much larger than the number of seeds, is taken as known. Without `image_variance` this
    is the paired t-test with `seeds - 1` degrees of freedom, and holds for these test images.

    An arm has no interval, and is inconclusive, with fewer than two seeds or where all seeds
    show exactly the same difference: there is no spread to judge by then, and equal scores
    mean rather that nothing was learnt, or that the repetitions aren't independent.

    Args:
        results: Columns `arm`, `seed`, `map50_95` (in [0, 1]); a row an arm and seed.
        reference: The arm that the others are compared with.
        image_variance: Arm to the variance of its mean difference over resamples of the test
            images, from `image_variances`.
        minimum_gain: Smallest gain worth having, in mAP50-95.
        confidence: Of the intervals; 1 minus it is the level of the tests.

    Returns:
        A row an arm other than the reference, in the order of `results`: `arm`, `seeds`,
        `difference` (mean of arm minus reference), `low`, `high` (its interval), `p`, `p_holm`
        (adjusted for all rows), `verdict`, and `seeds_needed`: how many seeds would settle an
        inconclusive row four times in five, were its difference and spread the true ones; NA
        where 1000 would not, or there is nothing to go by.

        The verdict is `hurts` or `helps` where `p_holm` is below the level, `no_gain` where
        the interval lies below `minimum_gain` (a gain too small to be worth having is none, be
        it ever so certain), else `inconclusive`.

    Raises:
        SynthdataError: If a column, the reference, a pair or an arm's image variance is
            missing, or a score isn't finite.
    """
    differences = _paired_differences(results, reference)
    rows = []
    for arm in differences.columns:
        if image_variance is not None and arm not in image_variance:
            raise SynthdataError(
                f"image_variance has no value for arm {arm!r}, only {sorted(image_variance)}"
            )
        extra = 0.0 if image_variance is None else float(image_variance[arm])
        rows.append(paired_contrast(differences[arm].to_numpy(np.float64), extra, confidence))
    table = pd.DataFrame(
        {
            "arm": differences.columns,
            "seeds": len(differences),
            "difference": [row.difference for row in rows],
            "low": [row.low for row in rows],
            "high": [row.high for row in rows],
            "p": [row.p for row in rows],
        }
    )
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    level = 1 - confidence
    verdicts = [
        _verdict(row, p_holm, level=level, minimum_gain=minimum_gain)
        for row, p_holm in zip(rows, table["p_holm"], strict=True)
    ]
    needed = [
        seeds_needed(row, level=level, num_contrasts=len(rows), minimum_gain=minimum_gain)
        if verdict == "inconclusive"
        else None
        for row, verdict in zip(rows, verdicts, strict=True)
    ]
    table["verdict"] = verdicts
    table["seeds_needed"] = pd.array(needed, dtype="Int64")
    return table


def image_variances(
    resampled: Mapping[str, npt.ArrayLike], *, reference: str = "real"
) -> dict[str, float]:
    """Return the variance that the choice of test images gives each arm's mean difference.

    Args:
        resampled: Arm to `(seeds, resamples)` mAP50-95 on resamples of the test images, the
            same resamples for every arm and seed, as `metrics.detection.bootstrap_map` gives.
        reference: The arm that the others are compared with.

    Raises:
        SynthdataError: If the reference is missing or the shapes differ.
    """
    arrays = {arm: np.asarray(values, dtype=np.float64) for arm, values in resampled.items()}
    if reference not in arrays:
        raise SynthdataError(f"there is no arm {reference!r}, only {sorted(arrays)}")
    shapes = {arm: array.shape for arm, array in arrays.items()}
    if len(set(shapes.values())) != 1:
        raise SynthdataError(f"every arm needs the same seeds and resamples, got shapes {shapes}")
    return {
        arm: float(np.nanvar((array - arrays[reference]).mean(axis=0), ddof=1))
        for arm, array in arrays.items()
        if arm != reference
    }


def recovered_fraction(
    results: pd.DataFrame, *, reference: str = "real", oracle: str = "oracle"
) -> dict[str, float]:
    """Return how much of what more real data would bring each arm brings: 1 is all of it.

    The arm's mean gain over the reference, divided by the oracle's; NaN where the oracle
    doesn't gain.

    Args:
        results: As for `compare_arms`, the oracle among the arms.
        reference: The arm without additions.
        oracle: The arm with the real data that were held back.

    Raises:
        SynthdataError: As `compare_arms`, or without an oracle.
    """
    gains = _paired_differences(results, reference).mean()
    if oracle not in gains:
        raise SynthdataError(f"there is no arm {oracle!r}, only {[reference, *gains.index]}")
    full = float(gains[oracle])
    return {
        str(arm): float(gain) / full if full > 0 else float("nan")
        for arm, gain in gains.items()
        if arm != oracle
    }


def _paired_differences(results: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return arm minus reference, a row a seed and a column an arm."""
    missing = {"arm", "seed", "map50_95"} - set(results.columns)
    if missing:
        raise SynthdataError(f"results lack the columns {sorted(missing)}")
    twice = results[results.duplicated(["arm", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise SynthdataError(f"arm {first['arm']!r} has seed {first['seed']} twice")
    arms = list(dict.fromkeys(results["arm"]))
    if reference not in arms:
        raise SynthdataError(f"there is no arm {reference!r} to compare with, only {arms}")
    known = results.assign(map50_95=results["map50_95"].astype(float))
    bad = known[~np.isfinite(known["map50_95"])]
    if len(bad):
        first = bad.iloc[0]
        raise SynthdataError(
            f"map50_95 of arm {first['arm']!r}, seed {first['seed']} must be finite, got "
            f"{first['map50_95']}"
        )
    wide = known.pivot(index="seed", columns="arm", values="map50_95")[arms]
    for arm in arms:
        lacking = wide.index[wide[arm].isna()].tolist()
        if lacking:
            raise SynthdataError(
                f"arm {arm!r} lacks seeds {lacking}; pairs need every arm at every seed"
            )
    others = [arm for arm in arms if arm != reference]
    return wide[others].sub(wide[reference], axis=0)


def _verdict(contrast: Contrast, p_holm: float, *, level: float, minimum_gain: float) -> Verdict:
    significant = p_holm < level
    if significant and contrast.difference < 0:
        return "hurts"
    if contrast.high < minimum_gain:
        return "no_gain"
    return "helps" if significant else "inconclusive"
