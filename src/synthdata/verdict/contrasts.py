"""Named contrasts between arms over paired repetitions, with a verdict each.

One repetition (a seed) trains every arm on the same real draw with the same detector seed, so
that two arms differ by the training images only, and it is their differences that are judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import cast

import numpy as np
import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.verdict.family import Rule, Verdict, judge
from synthdata.verdict.margin import Float64Array, paired_spread
from synthdata.verdict.pairs import paired_scores
from synthdata.verdict.seeds import seeds_needed


@dataclass(frozen=True)
class ContrastResult:
    """One arm against another.

    Attributes:
        arm: The arm.
        against: What it is compared with.
        seeds: The paired repetitions.
        difference: Mean of arm minus against.
        low: Lower end of its unadjusted interval; NaN without spread.
        high: Upper end.
        p: Unadjusted, two-sided; NaN without spread.
        p_holm: Holm's adjusted p, over all contrasts of the family.
        verdict: What may be said.
        seeds_needed: How many seeds would settle an inconclusive contrast, as
            `synthdata.verdict.seeds_needed` says; None where 1000 would not, there is no spread,
            or it is settled.
    """

    arm: str
    against: str
    seeds: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    verdict: Verdict
    seeds_needed: int | None


def compare_arms(  # noqa: PLR0913  # all but the first are settings, and by name
    results: pd.DataFrame,
    *,
    contrasts: Sequence[tuple[str, str]],
    image_variance: Mapping[tuple[str, str], float] | None = None,
    num_images: int | None = None,
    minimum_gain: float = 0.01,
    confidence: float = 0.95,
    extensions: int = 0,
) -> pd.DataFrame:
    """Compare pairs of arms over paired seeds, as one family of tests.

    The margin of a mean difference is that of `synthdata.verdict.margin`: the seeds' share with
    `seeds - 1` degrees of freedom, the images' with `num_images - 1`. Without `image_variance`
    this is the paired t-test, and holds for these evaluation images only. `p` is the level at
    which the margin equals the absolute mean difference.

    `low`, `high` and `p` are unadjusted. `p_holm`, over all `contrasts`, decides `helps` and
    `hurts`; `no_gain` isn't adjusted. Arms that no contrast names are neither tested nor
    checked, so that showing a ceiling changes no verdict.

    A contrast has no interval, and is inconclusive, with fewer than two seeds or where all seeds
    show exactly the same difference: there is no spread to judge by then, and equal scores
    mean rather that nothing was learnt, or that the repetitions aren't independent.

    Args:
        results: Columns `arm`, `seed`, `map50_95` (in [0, 1]), one row for each arm and seed.
        contrasts: Pairs (arm, against), named before the run.
        image_variance: (arm, against) to the variance of the mean difference by the choice of
            evaluation images, from `synthdata.verdict.image_variance`; one for each contrast.
        num_images: How many images, or groups of images, were resampled for it, at least 2.
            None takes it as known: the normal quantile stands for Student's.
        minimum_gain: Smallest gain worth having, in mAP50-95.
        confidence: Of the intervals; 1 minus it is the level of the tests.
        extensions: How often seeds were added after a verdict on fewer of them. Every verdict
            is tested at the level divided by `extensions + 1`: `p_holm` must be below that for
            `helps` and `hurts`, and the interval at that level, wider than the one shown, must
            lie below `minimum_gain` for `no_gain`. That makes up for most of what stopping at
            the first welcome verdict gains, not for all: with 5 seeds and then 10, a false
            `helps` is met in 3.3 % of experiments, where one look has 2.5 % and two looks at
            the full level have 4.4 %.

    Returns:
        One row for each contrast, in their order; the columns are `ContrastResult`'s fields.
        The verdict is `hurts` or `helps` where `p_holm` is below the tested level, `no_gain`
        where the interval lies below `minimum_gain` (a gain too small to be worth having is
        none, be it ever so certain), else `inconclusive`.

        `seeds_needed` is for inconclusive rows: with so many seeds in all, a true gain of
        `minimum_gain` would be shown in four cases out of five at Bonferroni's level, and where
        there is none, it would be excluded at least as often. It is NA where 1000 seeds would
        not do. It may be no more than `seeds`: the true gain is then likely to lie between 0 and
        `minimum_gain`.

    Raises:
        SynthdataError: If a column, an arm, a pair or a contrast's image variance is missing, a
            score isn't finite, a contrast is named twice or compares an arm with itself, or a
            setting is outside of its range.
    """
    rule = Rule(minimum_gain, confidence, extensions)
    compared = compare_contrasts(
        results, contrasts, rule=rule, image_variance=image_variance, num_images=num_images
    )
    table = pd.DataFrame(
        [asdict(row) for row in compared], columns=[field.name for field in fields(ContrastResult)]
    )
    numbers = dict.fromkeys(("difference", "low", "high", "p", "p_holm"), np.float64)
    return table.astype({"seeds": np.int64, **numbers, "seeds_needed": "Int64"})


def compare_contrasts(
    results: pd.DataFrame,
    contrasts: Sequence[tuple[str, str]],
    *,
    rule: Rule,
    image_variance: Mapping[tuple[str, str], float] | None = None,
    num_images: int | None = None,
) -> list[ContrastResult]:
    """Compare pairs of arms as `compare_arms` does, with a result object for each."""
    pairs = _checked_contrasts(contrasts)
    variance = _checked_variance(pairs, image_variance, num_images)
    if not pairs:
        return []
    scores = paired_scores(results, [arm for pair in pairs for arm in pair])
    differences = np.stack(
        [(scores[arm] - scores[against]).to_numpy(np.float64) for arm, against in pairs], axis=1
    )
    spread = paired_spread(differences, image_variance=variance, num_images=num_images)
    judged = judge(differences.mean(axis=0), spread, rule)
    return [
        ContrastResult(
            arm=arm,
            against=against,
            seeds=spread.num_seeds,
            difference=float(judged.difference[index]),
            low=float(judged.low[index]),
            high=float(judged.high[index]),
            p=float(judged.p[index]),
            p_holm=float(judged.p_holm[index]),
            verdict=cast(Verdict, str(judged.verdict[index])),
            seeds_needed=seeds_needed(spread.of(index), rule=rule, num_contrasts=len(pairs))
            if judged.verdict[index] == "inconclusive"
            else None,
        )
        for index, (arm, against) in enumerate(pairs)
    ]


def _checked_contrasts(contrasts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for contrast in contrasts:
        if isinstance(contrast, str) or len(contrast) != 2 or contrast[0] == contrast[1]:
            raise SynthdataError(
                f"a contrast must be a pair (arm, against) of two arms, got {contrast!r}"
            )
        arm, against = contrast
        if (arm, against) in pairs or (against, arm) in pairs:
            raise SynthdataError(
                f"the contrast of {arm!r} and {against!r} is named twice; one question is tested "
                "once in a family"
            )
        pairs.append((arm, against))
    return pairs


def _checked_variance(
    pairs: Sequence[tuple[str, str]],
    image_variance: Mapping[tuple[str, str], float] | None,
    num_images: int | None,
) -> Float64Array:
    """Return each contrast's variance by the choice of images, `(contrasts,)`."""
    if num_images is not None and num_images < 2:
        raise SynthdataError(f"num_images must be at least 2, got {num_images}")
    if image_variance is None:
        return np.zeros(len(pairs))
    for pair in pairs:
        if pair not in image_variance:
            raise SynthdataError(
                f"image_variance has no value for contrast {pair}, only {sorted(image_variance)}"
            )
        if not 0 <= image_variance[pair] < float("inf"):
            raise SynthdataError(
                f"image_variance of contrast {pair} must be at least 0 and finite, got "
                f"{image_variance[pair]}"
            )
    return np.array([image_variance[pair] for pair in pairs], dtype=np.float64)
