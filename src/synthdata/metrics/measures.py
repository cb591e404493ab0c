"""The metrics as measures: what `half_samples.estimate` computes, and from what size on.

Every measure needs 20 independent items of each set, so that a half has ten. FID, Inception
Score and the neighbour metrics need more; their functions say how many and why.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synthdata.metrics.box_statistics import QUANTITIES, box_distances
from synthdata.metrics.clip import cmmd
from synthdata.metrics.fidelity import fid, inception_score, kid
from synthdata.metrics.half_samples import Measure
from synthdata.metrics.manifold import manifold_scores

Values = npt.NDArray[Any]


def fid_measure(width: int) -> Measure:
    """Return FID of vectors of `width` numbers; it needs more vectors than that.

    A half-sample takes the eigenvalues of two matrices of that width: seconds for 2,048.
    """
    return Measure(
        names=("fid",),
        compute=lambda real, other: (fid(features_real=real, features_generated=other),),
        minimum=width + 1,
        because=f"the covariance of {width} features is singular below",
    )


def manifold_measure(num_neighbors: int = 5) -> Measure:
    """Return precision, recall, density and coverage; they need four times the neighbours.

    Below, a point's ball holds more than a quarter of its set.
    """

    def compute(real: Values, other: Values) -> tuple[float, ...]:
        scores = manifold_scores(
            features_real=real, features_generated=other, num_neighbors=num_neighbors
        )
        return scores.precision, scores.recall, scores.density, scores.coverage

    return Measure(
        names=("precision", "recall", "density", "coverage"),
        compute=compute,
        minimum=4 * num_neighbors,
        because=f"the balls to the {num_neighbors} nearest hold over a quarter of the set below",
    )


def inception_measure(num_classes: int) -> Measure:
    """Return the Inception Score of a classifier's logits; it needs an item a class.

    Fewer items than classes can't reach its upper end. The value is of generated items alone,
    and `halves` is the real items' own score.
    """
    return Measure(
        names=("inception_score",),
        compute=lambda _, logits: inception_score(logits, seed=0, num_splits=1)[:1],
        minimum=num_classes,
        because=f"fewer items can't fill {num_classes} classes",
    )


def _kid(real: Values, other: Values) -> tuple[float]:
    # One subset of all items: the half-samples are the subsets.
    mean, _ = kid(
        features_real=real,
        features_generated=other,
        seed=0,
        subset_size=len(real),
        num_subsets=1,
    )
    return (mean,)


def _boxes(real: Values, other: Values) -> tuple[float | None, ...]:
    return tuple(box_distances(list(real), list(other)).values())


KID: Final = Measure(names=("kid",), compute=_kid)
CMMD: Final = Measure(
    names=("cmmd",),
    compute=lambda real, other: (cmmd(features_real=real, features_generated=other),),
)
# Of `clip.clip_score`'s values, generated images alone; `halves` is the real images' own score.
CLIP_SCORE: Final = Measure(
    names=("clip_score",), compute=lambda _, scores: (float(np.mean(scores)),)
)
# Of `box_statistics.box_values`, an entry an image.
BOXES: Final = Measure(names=QUANTITIES, compute=_boxes)
