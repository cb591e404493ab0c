"""One family of contrasts, judged together.

Intervals and p-values are unadjusted. Holm's p decides `helps` and `hurts`, so that the
probability of any false one in the family stays at the level; `no_gain` claims nothing and is
not adjusted.

Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
Statistics 6, 1979.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from synthdata.errors import SynthdataError
from synthdata.verdict.margin import Float64Array, Spread, margin, p_values

Verdict: TypeAlias = Literal["helps", "hurts", "no_gain", "inconclusive"]


@dataclass(frozen=True)
class Rule:
    """What a verdict asks for.

    Attributes:
        minimum_gain: Smallest gain worth having, at least 0, in the scores' unit.
        confidence: Of the intervals, in (0, 1); 1 minus it is the level of the tests.
        extensions: How often seeds were added after an earlier verdict.

    Raises:
        SynthdataError: If a value is outside of its range.
    """

    minimum_gain: float = 0.01
    confidence: float = 0.95
    extensions: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_gain < float("inf"):
            raise SynthdataError(
                f"minimum_gain must be at least 0 and finite, got {self.minimum_gain}"
            )
        if not 0 < self.confidence < 1:
            raise SynthdataError(f"confidence must be between 0 and 1, got {self.confidence}")
        if self.extensions < 0:
            raise SynthdataError(f"extensions must be at least 0, got {self.extensions}")

    @property
    def level(self) -> float:
        """Return the level of the intervals."""
        return 1 - self.confidence

    @property
    def tested_level(self) -> float:
        """Return the level at which every verdict is tested: less after extensions."""
        return self.level / (self.extensions + 1)


@dataclass(frozen=True)
class Judgement:
    """Families of contrasts, judged; arrays of shape `(..., contrasts)`.

    Attributes:
        difference: Mean over seeds.
        low: Lower end of the unadjusted interval; NaN where there is no spread to judge by.
        high: Its upper end.
        p: Unadjusted, two-sided.
        p_holm: Adjusted for the contrasts along the last axis.
        verdict: A `Verdict` each.
    """

    difference: Float64Array
    low: Float64Array
    high: Float64Array
    p: Float64Array
    p_holm: Float64Array
    verdict: npt.NDArray[np.str_]


def judge(difference: Float64Array, spread: Spread, rule: Rule) -> Judgement:
    """Judge the contrasts along the last axis as one family.

    A contrast `hurts` or `helps` where Holm's p is below the tested level, and has `no_gain`
    where its interval at that level lies below the minimum gain: a gain too small to be worth
    having is none, be it ever so certain. Else it is `inconclusive`, as it is without spread.

    Args:
        difference: `(..., contrasts)` mean differences.
        spread: What makes them uncertain, of the same shape.
        rule: What a verdict asks for.
    """
    p = p_values(difference, spread)
    p_holm = holm(p)
    half_width = margin(spread, rule.level)
    significant = p_holm < rule.tested_level
    below_minimum = difference + margin(spread, rule.tested_level) < rule.minimum_gain
    verdict = np.select(
        [significant & (difference < 0), below_minimum, significant],
        ["hurts", "no_gain", "helps"],
        "inconclusive",
    )
    return Judgement(
        difference, difference - half_width, difference + half_width, p, p_holm, verdict
    )


def holm(p: Float64Array) -> Float64Array:
    """Return Holm's adjusted p-values of the families along the last axis, `(..., contrasts)`.

    NaN, no test, stays NaN and isn't counted.
    """
    order = np.argsort(p, axis=-1, kind="stable")  # NaN last
    num_tests = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    factors = num_tests - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), axis=-1)
    return adjusted
