"""What choosing an arm brings, from the results that there are: chosen on half, judged on the rest.

The seeds and the evaluation images are each cut in halves. An arm is chosen by one half of the
seeds on one half of the images, and judged by the other half of the seeds on the other half of the
images, in all four ways. No result judges a choice that it made, so that the mean isn't flattered.
It speaks of the procedure with half of the data, not of one arm: the halves may choose different
ones. After V. Chernozhukov et al., Double/debiased machine learning for treatment and structural
parameters, The Econometrics Journal 21, 2018, section 3 (cross-fitting).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.verdict.advice import Kind, choose
from synthdata.verdict.margin import Float64Array, margin, paired_spread
from synthdata.verdict.pairs import paired_scores


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and its interval; NaN where there is no spread to judge by."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CrossFit:
    """What a choice brings.

    Attributes:
        chosen: The arm of each of the four choices.
        gain: The chosen arms over the reference.
        regret: The best arm of each judging quarter over the chosen one. Which one is best is told
            by the results that judge, so that it is rather too large.
    """

    chosen: tuple[str, ...]
    gain: Estimate
    regret: Estimate


def cross_fit(
    halves: tuple[pd.DataFrame, pd.DataFrame],
    *,
    arms: Mapping[str, Kind],
    reference: str = "real",
    image_variance: Mapping[tuple[str, str], float] | None = None,
    num_images: int | None = None,
    confidence: float = 0.95,
) -> CrossFit:
    """Choose on half of the seeds and images, judge on the other half, in all four ways.

    Args:
        halves: Columns `arm`, `seed`, `map50_95`, scored on either half of the evaluation images.
        arms: As for `advise`.
        reference: The arm without additions.
        image_variance: (arm, reference) to the variance of the mean difference by the choice of
            evaluation images, of all of them, for the chosen arms. The largest is taken.
        num_images: As for `compare_arms`.
        confidence: Of the intervals.

    Raises:
        SynthdataError: As `choose`, or if there are fewer than two seeds, or the halves have
            different ones.
    """
    advisable = [arm for arm, kind in arms.items() if kind != "ceiling"]
    scores = [paired_scores(half, advisable) for half in halves]
    seeds = scores[0].index
    if not seeds.equals(scores[1].index):
        raise SynthdataError(
            f"both halves of the images need the same seeds, got {seeds.tolist()} and "
            f"{scores[1].index.tolist()}"
        )
    if len(seeds) < 2:
        raise SynthdataError(f"halves of the seeds need at least two seeds, got {len(seeds)}")
    chosen: list[str] = []
    gains = pd.DataFrame(index=seeds, columns=[0, 1], dtype=np.float64)
    regrets = gains.copy()
    for judging_seeds in (seeds[::2], seeds[1::2]):
        choosing = ~seeds.isin(judging_seeds)
        for judging_half in (0, 1):
            rows = scores[1 - judging_half][choosing].melt(
                ignore_index=False, var_name="arm", value_name="map50_95"
            )
            arm = choose(rows.reset_index(), arms=arms, reference=reference).arm
            judged = scores[judging_half].loc[judging_seeds]
            best = judged.mean().idxmax()
            chosen.append(arm)
            gains.loc[judging_seeds, judging_half] = judged[arm] - judged[reference]
            regrets.loc[judging_seeds, judging_half] = judged[best] - judged[arm]
    variance = max(
        ((image_variance or {}).get((arm, reference), 0.0) for arm in set(chosen)), default=0.0
    )
    level = 1 - confidence
    found = [
        _estimate(frame.mean(axis=1).to_numpy(np.float64), variance, num_images, level)
        for frame in (gains, regrets)
    ]
    return CrossFit(tuple(chosen), *found)


def _estimate(
    by_seed: Float64Array, variance: float, num_images: int | None, level: float
) -> Estimate:
    spread = paired_spread(by_seed, image_variance=variance, num_images=num_images)
    value, half_width = float(by_seed.mean()), float(margin(spread, level))
    return Estimate(value, value - half_width, value + half_width)
