"""Statistics of paired differences, as pure functions.

Sources: Student's t for paired differences; B. L. Welch, Biometrika 34, 1947, for the degrees of
freedom of a sum of two variances; S. Holm, Scandinavian Journal of Statistics 6, 1979.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Float64Array = npt.NDArray[np.float64]
_POWER = 0.8
_MAX_SEEDS = 1000


@dataclass(frozen=True)
class Contrast:
    """One arm against the reference; NaN where there is no spread to judge by."""

    difference: float
    low: float
    high: float
    p: float
    seed_variance: float
    image_variance: float


def paired_contrast(
    differences: Float64Array, image_variance: float, confidence: float
) -> Contrast:
    """Return the mean of `(N,)` differences with its interval and two-sided p.

    Args:
        differences: One a seed.
        image_variance: Added to the squared standard error, and taken as known.
        confidence: Of the interval.
    """
    mean, num_seeds = float(differences.mean()), len(differences)
    # Equal differences leave rounding errors rather than 0 in a variance.
    if num_seeds < 2 or np.ptp(differences) < 1e-12:
        nan = float("nan")
        return Contrast(mean, nan, nan, nan, nan, image_variance)
    seed_variance = float(differences.var(ddof=1))
    error, freedom = _standard_error(seed_variance, num_seeds, image_variance)
    margin = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Contrast(mean, mean - margin, mean + margin, p, seed_variance, image_variance)


def _standard_error(
    seed_variance: float, num_seeds: int, image_variance: float
) -> tuple[float, float]:
    """Return the standard error of the mean and its Welch-Satterthwaite degrees of freedom."""
    of_seeds = seed_variance / num_seeds
    total = of_seeds + image_variance
    return math.sqrt(total), (num_seeds - 1) * (total / of_seeds) ** 2


def holm(p: Float64Array) -> Float64Array:
    """Return Holm's adjusted p-values, `(N,)`; NaN (no test) stays NaN and isn't counted."""
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def seeds_needed(
    contrast: Contrast, *, level: float, num_contrasts: int, minimum_gain: float
) -> int | None:
    """Return the smallest number of seeds with the power to settle an inconclusive contrast.

    Settled is significantly different from 0, at Holm's hardest level (Bonferroni's), or an
    interval below `minimum_gain`. More seeds don't shrink the image variance.
    """
    if np.isnan(contrast.p):
        return None

    def is_enough(num_seeds: int) -> bool:
        error, freedom = _standard_error(contrast.seed_variance, num_seeds, contrast.image_variance)
        different = _power(abs(contrast.difference) / error, freedom, level / num_contrasts)
        below = _power((minimum_gain - contrast.difference) / error, freedom, level)
        return max(different, below) >= _POWER

    # Power grows with the number of seeds, so that bisection finds the first that is enough.
    first = bisect_left(range(2, _MAX_SEEDS + 1), True, key=is_enough)
    return first + 2 if first + 2 <= _MAX_SEEDS else None


def _power(noncentrality: float, freedom: float, level: float) -> float:
    """Return the probability that a two-sided t-test at `level` finds the effect, on its side."""
    critical = stats.t.ppf(1 - level / 2, freedom)
    return float(stats.nct.sf(critical, freedom, noncentrality))
