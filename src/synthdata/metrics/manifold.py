"""Generated against real features by k-nearest-neighbour manifolds.

Precision and recall after "Improved Precision and Recall Metric for Assessing Generative
Models" (Kynkäänniemi et al. 2019); density and coverage after "Reliable Fidelity and
Diversity Metrics for Generative Models" (Naeem et al. 2020). A manifold is the union of balls
around a set's points that reach to each point's k-th nearest neighbour in the set.

All four depend on the number of points and on k: compare only sets of the same size. A point on
a ball's border is inside; the prdc package leaves it out. Float64 distances decide, and memory
beside the features stays bounded, whatever the sets' sizes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.metrics.arrays import check_features
from synthdata.metrics.neighbors import kth_neighbor_distances, smallest_ratios
from synthdata.metrics.pair_distances import Float64Array, PairDistances

BoolArray = npt.NDArray[np.bool_]

_MAX_FEATURE: Final = 1e38  # the difference of two is finite in float32
_MAX_REALISM: Final = 1e12  # of a copy of a ball's centre


@dataclass(frozen=True)
class ManifoldScores:
    """How two sets of features agree.

    Attributes:
        precision: Share of generated points inside the real manifold, in [0, 1].
        recall: Share of real points inside the generated manifold, in [0, 1].
        density: Mean number of real balls around a generated point, over k; may exceed 1.
        coverage: Share of real balls that hold a generated point, in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Membership:
    """Where each of M query points lies to a reference manifold.

    Attributes:
        inside: `(M,)` whether it is in any ball; the mean is precision.
        density: `(M,)` number of balls that it is in, over k; the mean is density.
        realism: `(M,)` largest ratio of a ball's radius to the point's distance from its
            centre, over the smaller half of the balls (Kynkäänniemi et al. 2019, section 5),
            capped at 1e12; at least 1 means inside one of these, up to rounding.
    """

    inside: BoolArray
    density: FloatArray
    realism: FloatArray


def manifold_scores(
    *, features_real: FloatArray, features_generated: FloatArray, num_neighbors: int = 5
) -> ManifoldScores:
    """Return precision, recall, density and coverage.

    Args:
        features_real: `(N, D)`.
        features_generated: `(M, D)`.
        num_neighbors: k.

    Raises:
        ValueError: If a set has not more than k points, the widths differ, or a value isn't
            finite or is beyond 1e38.
    """
    _check(features_real, features_generated)
    radii_real = _squared_radii(features_real, num_neighbors, name="features_real")
    radii_generated = _squared_radii(features_generated, num_neighbors, name="features_generated")
    num_balls = 0
    inside = np.zeros(len(features_generated), dtype=bool)
    covered, recalled = (np.zeros(len(features_real), dtype=bool) for _ in range(2))
    pairs = PairDistances(features_generated, features_real)
    for block in pairs.blocks():
        generated, real = pairs.within(block, radii_real[None, block.columns])
        num_balls += len(real)
        inside[generated] = True
        covered[real] = True
        _, real = pairs.within(block, radii_generated[block.rows, None])
        recalled[real] = True
    return ManifoldScores(
        precision=float(inside.mean()),
        recall=float(recalled.mean()),
        density=num_balls / (num_neighbors * len(features_generated)),
        coverage=float(covered.mean()),
    )


def manifold_membership(
    *, features_query: FloatArray, features_reference: FloatArray, num_neighbors: int
) -> Membership:
    """Return for each query point whether it is in the reference manifold, and how real.

    A query's values depend on it and the reference only, not on the other queries.

    Args:
        features_query: `(M, D)`; M may be 0.
        features_reference: `(N, D)`.
        num_neighbors: k.

    Raises:
        ValueError: As for `manifold_scores`, of the reference.
    """
    _check(features_reference, features_query)
    radii = _squared_radii(features_reference, num_neighbors, name="features_reference")
    num_balls = np.zeros(len(features_query), dtype=np.int64)
    pairs = PairDistances(features_query, features_reference)
    for block in pairs.blocks():
        query, _ = pairs.within(block, radii[None, block.columns])
        num_balls += np.bincount(query, minlength=len(num_balls))
    small = (radii <= np.median(radii)) & (radii > 0)
    ratios = smallest_ratios(features_query, features_reference[small], radii[small])
    realism = 1 / np.sqrt(np.maximum(ratios, _MAX_REALISM**-2))
    return Membership(
        inside=num_balls > 0,
        density=(num_balls / num_neighbors).astype(np.float32),
        realism=realism.astype(np.float32),
    )


def covered_points(
    *, features_real: FloatArray, features_generated: FloatArray, num_neighbors: int
) -> BoolArray:
    """Return which real balls hold a generated point, `(N,)`; the mean is coverage.

    Unlike `manifold_scores` it takes any number of generated points, also none.

    Raises:
        ValueError: As for `manifold_scores`, of the real set.
    """
    _check(features_real, features_generated)
    radii = _squared_radii(features_real, num_neighbors, name="features_real")
    covered = np.zeros(len(features_real), dtype=bool)
    pairs = PairDistances(features_generated, features_real)
    for block in pairs.blocks():
        _, real = pairs.within(block, radii[None, block.columns])
        covered[real] = True
    return covered


def nearest_distances(*, features_query: FloatArray, features_reference: FloatArray) -> FloatArray:
    """Return each of M query points' distance to the nearest of N reference points, `(M,)`.

    Raises:
        ValueError: If widths differ, a value isn't finite or is beyond 1e38, or there is no
            reference point.
    """
    _check(features_reference, features_query)
    ones = np.ones(len(features_reference))
    nearest = np.sqrt(smallest_ratios(features_query, features_reference, ones))
    return nearest.astype(np.float32)


def _check(reference: FloatArray, query: FloatArray) -> None:
    check_features(reference, query)
    if len(reference) == 0:
        raise ValueError(f"a manifold needs points, got features of shape {reference.shape}")
    largest = max(max(one.max(initial=0), -one.min(initial=0)) for one in (reference, query))
    if largest > _MAX_FEATURE:
        raise ValueError(f"features must be at most {_MAX_FEATURE}, got {largest}")


def _squared_radii(points: FloatArray, num_neighbors: int, *, name: str) -> Float64Array:
    """Return each point's squared distance to its k-th nearest other one, `(N,)`."""
    if not 1 <= num_neighbors < len(points):
        raise ValueError(
            f"num_neighbors must be at least 1 and less than the number of {name}, "
            f"got {num_neighbors} for {len(points)}; lower it, or give more"
        )
    return kth_neighbor_distances(points, num_neighbors)
