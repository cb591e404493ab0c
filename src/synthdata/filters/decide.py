"""From scores to decisions: which images are kept, and why the others are not.

Ranks are among images that promise the same classes, so that a class which is hard to make,
or which the judge can't see, isn't filtered away as a whole. The best are kept, over all
ranks, or those of each class in turn where classes are to be balanced; an image below a
filter's `min_score` never is, and nothing is kept in its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.config.filter import FilterConfig
from synthdata.filters.balance import take
from synthdata.filters.base import ImageScore
from synthdata.filters.random import random_order
from synthdata.samples import DetectionDataset, IntArray

DECISION_COLUMNS: Final = ("sample_id", "kept", "reason", "random_kept")


@dataclass(frozen=True)
class Decision:
    """What becomes of one image.

    Attributes:
        sample_id: The image.
        rejected_by: The filter that ranked it lowest; empty if it is kept.
        reason: Why it was rejected; empty if it is kept.
    """

    sample_id: str
    rejected_by: str
    reason: str

    @property
    def kept(self) -> bool:
        """Whether it is kept."""
        return not self.rejected_by


def decide(
    section: FilterConfig,
    pool: DetectionDataset,
    scores: Mapping[str, list[ImageScore]],
    *,
    at_most: int | None = None,
) -> list[Decision]:
    """Return a decision an image of the pool, in its order.

    Args:
        section: `keep_fraction`, and each filter's weight and `min_score`.
        pool: The images; their annotations group the ranks.
        scores: By filter, in the pool's order.
        at_most: How many may be kept; None for what `keep_fraction` says.
    """
    ranks = _ranks(pool, scores)
    weights: dict[str, float] = {one.kind: one.weight for one in section.filters}
    mean_rank = sum(
        (ranks[kind] * weight for kind, weight in weights.items()), np.zeros(len(pool))
    ) / sum(weights.values())
    failed = {index: kind for kind, index in _below_minimum(section, scores)}
    num_kept = int(np.floor(section.keep_fraction * len(pool) + 0.5))
    if at_most is not None:
        num_kept = min(num_kept, at_most)
    ids = np.array([sample.sample_id for sample in pool], dtype=object)
    # Ties are broken by id, so that the pool's order never matters.
    best_first = sorted(range(len(pool)), key=lambda i: (-mean_rank[i], ids[i]))
    kept = take(
        [i for i in best_first if i not in failed], num_kept, objects=_objects(section, pool)
    )
    decisions = [Decision(str(sample_id), "", "") for sample_id in ids]
    for index in set(range(len(pool))) - set(kept):
        lowest = min(ranks, key=lambda kind: ranks[kind][index])
        kind = failed.get(index, lowest)
        decisions[index] = Decision(
            str(ids[index]), kind, _reason(scores[kind][index], kind, below=index in failed)
        )
    return decisions


def decide_alone(
    section: FilterConfig,
    pool: DetectionDataset,
    scores: Mapping[str, list[ImageScore]],
    *,
    at_most: int,
) -> dict[str, list[Decision]]:
    """Return, by filter, what would become of the images if there were no other filter.

    Args:
        section: As for `decide`.
        pool: The images.
        scores: By filter, in the pool's order.
        at_most: As many as all filters together keep, so that the sets can be compared.
    """
    return {
        one.kind: decide(
            section.model_copy(update={"filters": (one,)}),
            pool,
            {one.kind: scores[one.kind]},
            at_most=at_most,
        )
        for one in section.filters
    }


def _ranks(
    pool: DetectionDataset, scores: Mapping[str, list[ImageScore]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return percentile ranks in (0, 1), by filter; 0.5 where a filter couldn't judge."""
    group = [str(sorted(set(sample.annotations.class_id.tolist()))) for sample in pool]
    result = {}
    for kind, one_filter in scores.items():
        score = pd.Series([s.score for s in one_filter], dtype="float64")
        grouped = score.groupby(np.array(group, dtype=object))
        # The middle of an image's place: one alone in its group ranks 0.5.
        rank = (grouped.rank(method="average") - 0.5) / grouped.transform("count")
        result[kind] = rank.fillna(0.5).to_numpy()
    return result


def _objects(section: FilterConfig, pool: DetectionDataset) -> IntArray | None:
    """Return each image's objects by class, `(N, K)`, where they are to be balanced."""
    if not section.balance_classes:
        return None
    num_classes = len(pool.class_names)
    counts = [sample.annotations.counts(num_classes) for sample in pool]
    return np.array(counts, np.int64).reshape(len(pool), num_classes)


def _below_minimum(
    section: FilterConfig, scores: Mapping[str, list[ImageScore]]
) -> list[tuple[str, int]]:
    minimum: dict[str, float] = {one.kind: one.min_score for one in section.filters}
    return [
        (kind, index)
        for kind, one_filter in scores.items()
        for index, image in enumerate(one_filter)
        if image.score is not None and image.score < minimum[kind]
    ]


def _reason(score: ImageScore, kind: str, *, below: bool) -> str:
    if score.score is None:
        return f"{kind}: {score.detail}"
    why = "below min_score" if below else "not among the best"
    return f"{kind}: {score.detail}; score {score.score:.3f} {why}"


def decisions_frame(
    section: FilterConfig,
    pool: DetectionDataset,
    decisions: list[Decision],
    alone: Mapping[str, list[Decision]],
) -> pd.DataFrame:
    """Return a row an image: `sample_id, kept, reason, random_kept`, and `<kind>_kept` a filter.

    As many are kept at random as by decision, and balanced as they are.

    Args:
        section: Seed of the random drop, and whether classes are balanced.
        pool: The images.
        decisions: Of all filters together, in the pool's order.
        alone: By filter, its own.
    """
    place = {decision.sample_id: index for index, decision in enumerate(decisions)}
    at_random = take(
        [place[sample_id] for sample_id in random_order(place, seed=section.seed)],
        sum(decision.kept for decision in decisions),
        objects=_objects(section, pool),
    )
    chosen = set(at_random)
    rows = [(d.sample_id, d.kept, d.reason, i in chosen) for i, d in enumerate(decisions)]
    frame = pd.DataFrame(rows, columns=list(DECISION_COLUMNS)).astype(
        {"kept": "bool", "random_kept": "bool"}
    )
    for kind, own in alone.items():
        frame[f"{kind}_kept"] = np.array([decision.kept for decision in own], dtype=bool)
    return frame
