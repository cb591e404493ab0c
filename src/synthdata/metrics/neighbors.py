"""Nearest neighbours by exact distances, in memory that doesn't grow with the pairs."""

from typing import Final

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.metrics.pair_distances import (
    Block,
    Float64Array,
    IndexArray,
    PairDistances,
    Pairs,
    slices,
)

# Bounds the neighbours kept at once, 32 MB, and the pairs that wait for their exact distance.
_TABLE_ENTRIES: Final = 1 << 22
# Of a block's columns, to find a first limit in; to sort through all of them takes longer than
# their better limit saves.
_SEED_COLUMNS: Final = 256


def kth_neighbor_distances(points: FloatArray, num_neighbors: int) -> Float64Array:
    """Return each of N points' squared distance to its k-th nearest other one, `(N,)`.

    Args:
        points: `(N, D)`.
        num_neighbors: k, at least 1 and less than N.
    """
    pairs = PairDistances(points, points)
    panels = slices(0, len(points), max(1, _TABLE_ENTRIES // num_neighbors))
    return np.concatenate([_of_panel(pairs, panel, num_neighbors) for panel in panels])


def smallest_ratios(
    query: FloatArray, centres: FloatArray, squared_radii: Float64Array
) -> Float64Array:
    """Return each query point's smallest ratio of squared distance to squared radius.

    Args:
        query: `(M, D)`.
        centres: `(N, D)`.
        squared_radii: `(N,)` positive.

    Returns:
        `(M,)`; infinite where there is no centre.
    """
    result = np.full(len(query), np.inf)
    if len(centres) == 0:
        return result
    pairs = PairDistances(query, centres)

    def compare(rows: IndexArray, columns: IndexArray) -> None:
        np.minimum.at(result, rows, pairs.exact(rows, columns) / squared_radii[columns])

    for block in pairs.blocks():
        if block.columns.start == 0:
            compare(np.arange(block.rows.start, block.rows.stop), block.lower.argmin(axis=1))
        limits = np.multiply.outer(result[block.rows], squared_radii[block.columns])
        found = pairs.candidates(block, limits)
        compare(found.rows, found.columns)
    return result


def _of_panel(pairs: PairDistances, panel: slice, num_neighbors: int) -> Float64Array:
    nearest = _Nearest(pairs, panel, num_neighbors)
    inner = list(slices(panel.start, panel.stop, pairs.step))
    outer = [
        *slices(0, panel.start, pairs.step),
        *slices(panel.stop, pairs.shape[0], pairs.step),
    ]
    # A row's own block comes first, so that every row has a limit before any other block.
    for rows in inner:
        block = pairs.block(rows, rows)
        np.fill_diagonal(block.lower, np.inf)
        nearest.add(_taken_seeds(pairs, block, num_neighbors))
        nearest.add(pairs.candidates(block, nearest.limits(rows)[:, None]))
    for num_done, rows in enumerate(inner, start=1):
        for columns in [*inner[num_done:], *outer]:
            block = pairs.block(rows, columns)
            nearest.add(pairs.candidates(block, nearest.limits(rows)[:, None]))
            if columns in inner:  # a pair of two rows of the panel
                found = pairs.candidates(block, nearest.limits(columns)[None, :])
                nearest.add(found._replace(rows=found.columns, columns=found.rows))
    return nearest.kth()


def _taken_seeds(pairs: PairDistances, block: Block, num_neighbors: int) -> Pairs:
    """Return about k near pairs a row, which the block passes over from now on."""
    first = block.lower[:, : max(_SEED_COLUMNS, 4 * num_neighbors)]
    num = min(num_neighbors, first.shape[1])
    columns = np.argpartition(first, num - 1, axis=1)[:, :num]
    flat = (np.arange(len(first))[:, None] * block.lower.shape[1] + columns).ravel()
    flat = flat[np.isfinite(block.lower.ravel()[flat])]
    seeds = pairs.bounds(block, flat)
    block.lower.ravel()[flat] = np.inf
    return seeds


class _Nearest:
    """The k nearest of a panel of rows, among the pairs seen so far.

    A pair's exact distance is computed late, when most pairs that once were among the nearest
    aren't any more.
    """

    def __init__(self, pairs: PairDistances, panel: slice, num_neighbors: int) -> None:
        self._pairs = pairs
        self._start = panel.start
        self._upper = np.full((panel.stop - panel.start, num_neighbors), np.inf)
        self._exact = self._upper.copy()
        self._waiting: list[Pairs] = []

    def limits(self, rows: slice) -> Float64Array:
        """Return squared distances beyond which a pair can't be among the nearest."""
        limits = self._upper[rows.start - self._start : rows.stop - self._start, -1]
        return np.where(limits > 0, limits, -np.inf)  # nothing is nearer than 0

    def add(self, pairs: Pairs) -> None:
        """Take note of pairs, none twice."""
        _merge(self._upper, pairs.rows - self._start, pairs.upper)
        self._waiting.append(pairs)
        if sum(len(one.rows) for one in self._waiting) > _TABLE_ENTRIES:
            self._settle()

    def kth(self) -> Float64Array:
        """Return each row's k-th smallest squared distance, `(rows,)`."""
        self._settle()
        return self._exact[:, -1].copy()  # a view would keep the table

    def _settle(self) -> None:
        if not self._waiting:
            return
        rows, columns, lower, _ = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting.clear()
        near = lower <= self._upper[rows - self._start, -1]
        rows, columns = rows[near], columns[near]
        _merge(self._exact, rows - self._start, self._pairs.exact(rows, columns))
        self._upper[:] = self._exact


def _merge(table: Float64Array, rows: IndexArray, values: Float64Array) -> None:
    """Put values `(P,)` into their rows of a table, which keep their smallest ones, sorted."""
    order = np.lexsort((values, rows))
    rows, values = rows[order], values[order]
    some, first, counts = np.unique(rows, return_index=True, return_counts=True)
    rank = np.arange(len(rows)) - np.repeat(first, counts)
    chosen = rank < table.shape[1]
    found = np.full((len(some), table.shape[1]), np.inf)
    found[np.repeat(np.arange(len(some)), counts)[chosen], rank[chosen]] = values[chosen]
    table[some] = np.sort(np.concatenate([table[some], found], axis=1), axis=1)[:, : table.shape[1]]
