"""From scores to decisions: which images are kept, and why the others are not.

Ranks are among images that promise the same classes, so that a class which is hard to make,
or which the judge can't see, isn't filtered away as a whole. The best are kept, over all
ranks, or those of each class in turn where classes are to be balanced; an image below a
filter's `min_score` never is, and nothing is kept in its place. `memorisation` asks no more than
that: an image that is no copy isn't the better the newer it is.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.config.filter import FilterConfig, MemorisationFilterConfig
from synthdata.filters.balance import take
from synthdata.filters.base import ImageScore
from synthdata.filters.random import random_order
from synthdata.samples import DetectionDataset, IntArray
from synthdata.seeding import derive_seed

DECISION_COLUMNS: Final = ("sample_id", "kept", "reason", "random_kept")
# What rejects images where no filter ranks them.
AT_RANDOM: Final = "keep_fraction"
_SMALLEST_GROUP: Final = 10  # images that are ranked among themselves


@dataclass(frozen=True)
class Decision:
    """What becomes of one image.

    Attributes:
        sample_id: The image.
        rejected_by: The filter that cost it most ranks, or whose `min_score` it misses;
            `AT_RANDOM` where none ranks images; empty if it is kept.
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
    weights: dict[str, float] = {
        one.kind: one.weight
        for one in section.filters
        if not isinstance(one, MemorisationFilterConfig)
    }
    ranks = _ranks(pool, {kind: scores[kind] for kind in weights})
    lost = {kind: (1 - ranks[kind]) * weight for kind, weight in weights.items()}
    ranks_lost = sum(lost.values(), np.zeros(len(pool)))
    failed = _below_minimum(section, scores)
    num_kept = int(np.floor(section.keep_fraction * len(pool) + 0.5))
    if at_most is not None:
        num_kept = min(num_kept, at_most)
    ids = [sample.sample_id for sample in pool]
    # Ties are broken at random, by an order of ids that the pool's order doesn't change.
    order = random_order(ids, seed=derive_seed(section.seed, "filter-ties"))
    place = {sample_id: i for i, sample_id in enumerate(order)}
    best_first = sorted(range(len(pool)), key=lambda i: (ranks_lost[i], place[ids[i]]))
    kept = take(
        [i for i in best_first if i not in failed], num_kept, objects=_objects(section, pool)
    )
    decisions = [Decision(sample_id, "", "") for sample_id in ids]
    for i in set(range(len(pool))) - set(kept):
        if i in failed:
            whys = [_reason(scores[kind][i], kind, "below min_score") for kind in failed[i]]
            decisions[i] = Decision(ids[i], failed[i][0], "; ".join(whys))
        elif not lost:
            why = f"{AT_RANDOM}: dropped at random, since no filter ranks images"
            decisions[i] = Decision(ids[i], AT_RANDOM, why)
        else:
            kind = max(lost, key=lambda kind: lost[kind][i])
            why = "not among the best"
            if section.balance_classes:
                why += " that balance the classes"
            decisions[i] = Decision(ids[i], kind, _reason(scores[kind][i], kind, why))
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
    groups = _groups(pool)
    result = {}
    for kind, one_filter in scores.items():
        score = pd.Series([s.score for s in one_filter], dtype="float64")
        grouped = score.groupby(groups)
        # The middle of an image's place: one alone in its group ranks 0.5.
        rank = (grouped.rank(method="average") - 0.5) / grouped.transform("count")
        result[kind] = rank.fillna(0.5).to_numpy()
    return result


def _groups(pool: DetectionDataset) -> npt.NDArray[np.object_]:
    """Return what each image is ranked among, `(N,)`.

    The images that promise the same classes; where those are few, as with many classes, the
    others of its rarest class, and where those are few, all that are left.
    """
    class_sets = [tuple(np.unique(sample.annotations.class_id).tolist()) for sample in pool]
    num_images = Counter(class_id for one in class_sets for class_id in one)
    rarest = [min(one, key=lambda c: (num_images[c], c), default=None) for one in class_sets]
    groups = np.full(len(pool), "all others", dtype=object)
    left = list(range(len(pool)))
    for keys in (class_sets, rarest):
        size = Counter(keys[i] for i in left)
        for i in left:
            if size[keys[i]] >= _SMALLEST_GROUP:
                groups[i] = str(keys[i])
        left = [i for i in left if size[keys[i]] < _SMALLEST_GROUP]
    return groups


def _objects(section: FilterConfig, pool: DetectionDataset) -> IntArray | None:
    """Return each image's objects by class, `(N, K)`, where they are to be balanced."""
    if not section.balance_classes:
        return None
    num_classes = len(pool.class_names)
    counts = [sample.annotations.counts(num_classes) for sample in pool]
    return np.array(counts, np.int64).reshape(len(pool), num_classes)


def _below_minimum(
    section: FilterConfig, scores: Mapping[str, list[ImageScore]]
) -> dict[int, list[str]]:
    """Return the filters whose `min_score` an image misses, by image."""
    failed: dict[int, list[str]] = defaultdict(list)
    for one in section.filters:
        for index, image in enumerate(scores[one.kind]):
            if image.score is not None and image.score < one.min_score:
                failed[index].append(one.kind)
    return failed


def _reason(score: ImageScore, kind: str, why: str) -> str:
    if score.score is None:
        return f"{kind}: {score.detail}"
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
