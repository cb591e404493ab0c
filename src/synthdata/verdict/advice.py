"""Advice: which training set to take, and what it brings.

A choice among several arms flatters the one that it falls on, so that what the arm brings is judged
on results that did not choose it: other seeds, and other images. The choice is
`synthdata.verdict.choice`'s, the judgement `synthdata.verdict.contrasts`'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.verdict.choice import cheapest_of_best
from synthdata.verdict.contrasts import ContrastResult, compare_contrasts
from synthdata.verdict.family import Rule, Verdict
from synthdata.verdict.pairs import paired_scores
from synthdata.verdict.sentence import advice_sentence

# From the cheapest on; a ceiling has images that nobody can have, and is never advised.
Kind: TypeAlias = Literal["reference", "free", "candidate", "ceiling"]


@dataclass(frozen=True)
class Choice:
    """What was chosen, before it is judged.

    Attributes:
        arm: The advised arm.
        free: The best of the reference and the free arms, by the same rule.
        contrasts: What the judgement tests: the arm against the reference, and against the best
            free arm where that is another one; none where the reference is advised.
    """

    arm: str
    free: str
    contrasts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Advice:
    """The training set to take.

    Attributes:
        arm: Its name.
        kind: `reference`: nothing else is better. `free`: what real images give without a
            generator is enough. `candidate`: an arm with generated or other extra images.
        gain: Mean difference to the reference; 0 for the reference itself. Without a selection it
            is the difference on the results that chose the arm, and too large.
        low: Lower end of the gain's interval; None where the results, or their images, chose the
            arm, where they have no spread, and for the reference.
        high: Its upper end.
        over_free: Mean difference to the best free arm; 0 for a free arm and the reference.
        sentence: The advice in words.
        verdict: On the arm against the reference; None where the results, or their images, chose
            the arm, and for the reference.
    """

    arm: str
    kind: Kind
    gain: float
    low: float | None
    high: float | None
    over_free: float
    sentence: str
    verdict: Verdict | None


def advise(  # noqa: PLR0913  # all but the first are settings, and by name
    results: pd.DataFrame,
    *,
    arms: Mapping[str, Kind],
    selection: pd.DataFrame | None = None,
    reference: str = "real",
    image_variance: Mapping[tuple[str, str], float] | None = None,
    num_images: int | None = None,
    minimum_gain: float = 0.01,
    confidence: float = 0.95,
    extensions: int = 0,
    fresh_images: bool = True,
    titles: Mapping[str, str] | None = None,
) -> Advice:
    """Return the cheapest arm within one standard error of the best, and what it brings.

    Args:
        results: Columns `arm`, `seed`, `map50_95` (in [0, 1]), one row for each arm and seed: what
            the chosen arm is judged by.
        arms: Arm to its kind. Of one kind, the cheaper come first; the reference is cheaper than
            free arms, these than candidates. Ceilings aren't advised.
        selection: The same columns: what the arm is chosen by, from other seeds and other images
            (val and development seeds). None chooses by `results`, which then can't say what the
            arm brings: there is no interval and no verdict.
        reference: The arm without additions.
        image_variance: As for `compare_arms`, for the `contrasts` of `choose`.
        num_images: As for `compare_arms`.
        minimum_gain: Smallest gain worth having, in mAP50-95.
        confidence: Of the interval; 1 minus it is the level of the tests.
        extensions: As for `compare_arms`.
        fresh_images: Whether `results` are of other images than `selection`. On the same ones a
            choice is flattered by what it saw, whatever the seeds: no interval and no verdict.
        titles: Arm to its name in the sentence; None takes the arms' names.

    Raises:
        SynthdataError: As `choose` and `compare_arms`, or if `selection` and `results` have a seed
            in common.
    """
    choice = choose(results if selection is None else selection, arms=arms, reference=reference)
    _check_seeds(results, selection)
    means = paired_scores(results, [choice.arm, choice.free, reference]).mean()
    judged: list[ContrastResult] = []
    if selection is not None and fresh_images and choice.contrasts:
        judged = compare_contrasts(
            results,
            choice.contrasts,
            rule=Rule(minimum_gain, confidence, extensions),
            image_variance=image_variance,
            num_images=num_images,
        )
    gain = float(means[choice.arm] - means[reference])
    over_free = float(means[choice.arm] - means[choice.free])
    kind = arms[choice.arm]
    has_interval = bool(judged) and judged[0].low == judged[0].low  # NaN has none
    return Advice(
        arm=choice.arm,
        kind=kind,
        gain=gain,
        low=judged[0].low if has_interval else None,
        high=judged[0].high if has_interval else None,
        over_free=over_free,
        sentence=advice_sentence(
            choice.arm, choice.free, reference, kind=kind, gain=gain, judged=judged,
            confidence=confidence, titles=titles or {},
            has_candidates="candidate" in arms.values(),
            flattered_by="seeds and images" if selection is None else "images",
        ),
        verdict=judged[0].verdict if judged else None,
    )  # fmt: skip


def choose(selection: pd.DataFrame, *, arms: Mapping[str, Kind], reference: str = "real") -> Choice:
    """Return the cheapest arm within one standard error of the best, and the best free one.

    Args:
        selection: As for `advise`.
        arms: As for `advise`.
        reference: The arm without additions.

    Raises:
        SynthdataError: As `compare_arms`, or if a kind is unknown or `reference` isn't
            the only arm of its kind.
    """
    kinds = get_args(Kind)
    unknown = sorted(set(arms.values()) - set(kinds))
    if unknown:
        raise SynthdataError(f"an arm's kind must be one of {list(kinds)}, got {unknown[0]!r}")
    references = [arm for arm, kind in arms.items() if kind == "reference"]
    if references != [reference]:
        raise SynthdataError(
            f"arms must have {reference!r} as the only reference, got {references or 'none'}"
        )
    by_cost = sorted(arms, key=lambda arm: kinds.index(arms[arm]))
    advisable = [arm for arm in by_cost if arms[arm] != "ceiling"]
    scores = paired_scores(selection, advisable)
    arm = free = cheapest_of_best(scores)
    if arms[arm] == "candidate":
        free = cheapest_of_best(scores[[one for one in advisable if arms[one] != "candidate"]])
    against = [one for one in dict.fromkeys((reference, free)) if one != arm]
    return Choice(arm, free, tuple((arm, other) for other in against if arm != reference))


def _check_seeds(results: pd.DataFrame, selection: pd.DataFrame | None) -> None:
    if selection is None:
        return
    shared = sorted(set(selection["seed"]) & set(results["seed"]))
    if shared:
        raise SynthdataError(
            f"selection and results have seeds {shared} in common; what an arm brings is judged by "
            "seeds, and images, that did not choose it"
        )
