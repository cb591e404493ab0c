"""Statistics of paired differences, as pure functions.

Sources: Student's t for paired differences; B. L. Welch, Biometrika 34, 1947, for the degrees of
freedom of a sum of two variances; S. Holm, Scandinavian Journal of Statistics 6, 1979.
"""

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
    error, freedom = (
        float(value) for value in _standard_error(seed_variance, num_seeds, image_variance)
    )
    margin = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Contrast(mean, mean - margin, mean + margin, p, seed_variance, image_variance)


def _standard_error(
    seed_variance: float, num_seeds: npt.ArrayLike, image_variance: float
) -> tuple[Float64Array, Float64Array]:
    """Return the standard error of the mean and its Welch-Satterthwaite degrees of freedom."""
    seeds = np.asarray(num_seeds, dtype=np.float64)
    of_seeds = seed_variance / seeds
    total = of_seeds + image_variance
    return np.sqrt(total), (seeds - 1) * (total / of_seeds) ** 2


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
    num_seeds = np.arange(2, _MAX_SEEDS + 1)
    error, freedom = _standard_error(contrast.seed_variance, num_seeds, contrast.image_variance)
    different = _power(abs(contrast.difference) / error, freedom, level / num_contrasts)
    below = _power((minimum_gain - contrast.difference) / error, freedom, level)
    enough = np.flatnonzero(np.maximum(different, below) >= _POWER)
    return int(num_seeds[enough[0]]) if len(enough) else None


def _power(noncentrality: Float64Array, freedom: Float64Array, level: float) -> Float64Array:
    """Return the probability that a two-sided t-test at `level` finds the effect, on its side."""
    critical = stats.t.ppf(1 - level / 2, freedom)
    return np.asarray(stats.nct.sf(critical, freedom, noncentrality), dtype=np.float64)
