"""Generated against real features by k-nearest-neighbour manifolds.

Precision and recall after "Improved Precision and Recall Metric for Assessing Generative
Models" (Kynkäänniemi et al. 2019); density and coverage after "Reliable Fidelity and
Diversity Metrics for Generative Models" (Naeem et al. 2020). A manifold is the union of balls
around a set's points that reach to each point's k-th nearest neighbour in the set.

All four depend on the number of points and on k: compare only sets of the same size.
Everything is computed in float64 and in blocks, so that memory stays bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.metrics.arrays import check_features

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_BLOCK_ENTRIES: Final = 4_000_000  # 32 MB of distances at once
# A point on a ball's border is inside; this absorbs the rounding of the matrix product.
_TOLERANCE: Final = 1 + 1e-9


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
        realism: `(M,)` largest ratio of a ball's radius to the point's distance from its
            centre, over the smaller half of the balls (Kynkäänniemi et al. 2019, section 5);
            at least 1 means inside one of these.
    """

    inside: BoolArray
    realism: Float64Array


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
            finite.
    """
    real, generated = _prepared(features_real, features_generated)
    radii_real = _squared_radii(real, num_neighbors, name="features_real")
    radii_generated = _squared_radii(generated, num_neighbors, name="features_generated")
    num_inside = num_balls = 0
    covered = np.zeros(len(real), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    for rows, distances in _blocks(generated, real):
        in_real_ball = distances <= radii_real
        num_inside += int(in_real_ball.any(axis=1).sum())
        num_balls += int(in_real_ball.sum())
        covered |= in_real_ball.any(axis=0)
        recalled |= (distances <= radii_generated[rows, None]).any(axis=0)
    return ManifoldScores(
        precision=num_inside / len(generated),
        recall=float(recalled.mean()),
        density=num_balls / (num_neighbors * len(generated)),
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
    reference, query = _prepared(features_reference, features_query)
    radii = _squared_radii(reference, num_neighbors, name="features_reference")
    small = radii <= np.median(radii)
    inside = np.zeros(len(query), dtype=bool)
    realism = np.zeros(len(query))
    for rows, distances in _blocks(query, reference):
        inside[rows] = (distances <= radii).any(axis=1)
        ratio = radii[small] / np.maximum(distances[:, small], 1e-24)
        realism[rows] = np.sqrt(ratio.max(axis=1))
    return Membership(inside=inside, realism=realism)


def covered_points(
    *, features_real: FloatArray, features_generated: FloatArray, num_neighbors: int
) -> BoolArray:
    """Return which real balls hold a generated point, `(N,)`; the mean is coverage.

    Unlike `manifold_scores` it takes any number of generated points, also none.

    Raises:
        ValueError: As for `manifold_scores`, of the real set.
    """
    real, generated = _prepared(features_real, features_generated)
    radii = _squared_radii(real, num_neighbors, name="features_real")
    covered = np.zeros(len(real), dtype=bool)
    for _, distances in _blocks(generated, real):
        covered |= (distances <= radii).any(axis=0)
    return covered


def nearest_distances(
    *, features_query: FloatArray, features_reference: FloatArray
) -> Float64Array:
    """Return each of M query points' distance to the nearest of N reference points, `(M,)`.

    Raises:
        ValueError: If widths differ, a value isn't finite, or there is no reference point.
    """
    reference, query = _prepared(features_reference, features_query)
    nearest = [distances.min(axis=1) for _, distances in _blocks(query, reference)]
    result: Float64Array = np.sqrt(np.concatenate([np.zeros(0), *nearest]))
    return result


def _prepared(reference: FloatArray, query: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return both in float64, moved to the reference's mean: less cancellation."""
    check_features(reference, query)
    if len(reference) == 0:
        raise ValueError(f"a manifold needs points, got features of shape {reference.shape}")
    mean = reference.mean(axis=0, dtype=np.float64)
    return reference - mean, query - mean


def _squared_radii(points: Float64Array, num_neighbors: int, *, name: str) -> Float64Array:
    """Return each point's squared distance to its k-th nearest other one, `(N,)`."""
    if not 1 <= num_neighbors < len(points):
        raise ValueError(
            f"num_neighbors must be at least 1 and less than the number of {name}, "
            f"got {num_neighbors} for {len(points)}; lower it, or give more"
        )
    radii = np.empty(len(points))
    for rows, distances in _blocks(points, points):
        index = np.arange(rows.start, rows.stop)
        distances[np.arange(len(index)), index] = np.inf
        radii[rows] = np.partition(distances, num_neighbors - 1, axis=1)[:, num_neighbors - 1]
    radii *= _TOLERANCE
    return radii


def _blocks(rows: Float64Array, columns: Float64Array) -> Iterator[tuple[slice, Float64Array]]:
    """Yield the squared distances of a few rows at a time from all columns."""
    step = max(1, _BLOCK_ENTRIES // len(columns))
    columns_squared = np.einsum("nd,nd->n", columns, columns)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        squared = np.einsum("nd,nd->n", part, part)[:, None] + columns_squared
        distances = np.maximum(squared - 2 * part @ columns.T, 0)
        yield slice(start, start + len(part)), distances
