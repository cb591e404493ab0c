"""How many seeds a verdict would take."""

import math
from bisect import bisect_left
from dataclasses import replace

import numpy as np
from scipy import stats

from synthdata.verdict.family import Rule
from synthdata.verdict.margin import Spread, margin

_POWER = 0.8
_MAX_SEEDS = 1000
_STEPS = 2000


def seeds_needed(spread: Spread, *, rule: Rule, num_contrasts: int) -> int | None:
    """Return the smallest number of seeds that would settle a contrast four times in five.

    Settled is shown to help, were the true gain the minimum gain, at the hardest level that
    Holm's procedure may ask for, Bonferroni's. So many seeds also exclude the minimum gain at
    least four times in five, were there no gain at all, since that isn't adjusted. What was
    observed enters by its spread only: an observed gain that a lucky seed made too large would
    ask for too few seeds, and one near 0 for any number.

    Args:
        spread: Of one contrast, from the seeds so far; more of them don't shrink the images'
            share.
        rule: What a verdict asks for.
        num_contrasts: Tested in the family.

    Returns:
        At least 2; None where 1000 seeds would not be enough, or there is no spread to judge by.
    """
    if np.isnan(spread.seeds) or rule.minimum_gain == 0:
        return None
    seed_variance = spread.seeds * spread.num_seeds
    level = rule.tested_level / num_contrasts

    def is_enough(num_seeds: int) -> bool:
        planned = replace(spread, seeds=seed_variance / num_seeds, num_seeds=num_seeds)
        return power(planned, gain=rule.minimum_gain, level=level) >= _POWER

    # Power grows with the number of seeds, so that bisection finds the first that is enough.
    first = bisect_left(range(2, _MAX_SEEDS + 1), True, key=is_enough)
    return first + 2 if first + 2 <= _MAX_SEEDS else None


def power(spread: Spread, *, gain: float, level: float) -> float:
    """Return the probability that a true gain is found at a level, on its side.

    The mean difference exceeds the margin, which itself varies with the seeds that are drawn:
    the normal probability is averaged over the distribution of the sample's variance, by its
    quantiles. Without a share of the images this is the power of the paired t-test. That the
    images' share is an estimate itself counts by the margin only.

    Args:
        spread: The true variances of one contrast.
        gain: The true mean difference.
        level: Of the two-sided test.
    """
    freedom = spread.num_seeds - 1
    quantiles = stats.chi2.ppf((np.arange(_STEPS) + 0.5) / _STEPS, freedom) / freedom
    drawn = replace(spread, seeds=spread.seeds * quantiles)
    error = math.sqrt(spread.seeds + spread.images)
    return float(stats.norm.sf((margin(drawn, level) - gain) / error).mean())
