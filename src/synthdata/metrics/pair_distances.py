"""Squared distances of all pairs of two sets: bounds for blocks of pairs, exact ones for a few.

|a|^2 + |b|^2 - 2ab as a float32 matrix product is fast, but cancellation leaves no digit of a
small distance between points far from the centre. So a block holds lower bounds, which the
product's rounding error can't break, and a decision that the bounds leave open is made by the
exact distance of that pair. What is decided thus depends on the two points only: neither on the
blocks' sizes nor on the other points.

The error bound is the standard one for a sum of n products in any order (Higham, "Accuracy and
Stability of Numerical Algorithms", 2002, section 3.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray

Float64Array = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
AnyFloatArray = npt.NDArray[np.floating]

# The larger a block, the less its preparation matters beside its product; 16 MB of float32.
_BLOCK_POINTS: Final = 2048
# Keeps the blocks of very wide features small, too.
_BLOCK_VALUES: Final = 1 << 23
# Of float64 at once, which stays in the processor's cache.
_EXACT_VALUES: Final = 1 << 17
# An exact distance takes about as long as this many entries of a float64 block.
_EXACT_COST: Final = 32
# Larger than any scaled squared distance, and finite in float32.
_ABOVE_ALL: Final = 2.0**100


@dataclass
class Block:
    """Lower bounds on the squared distances of some rows from some columns.

    Attributes:
        rows: Which.
        columns: Which.
        lower: `(rows, columns)`, in a unit of its own; infinite for a pair to pass over.
    """

    rows: slice
    columns: slice
    lower: AnyFloatArray


class Pairs(NamedTuple):
    """P pairs and what is known of their squared distances.

    Attributes:
        rows: `(P,)` indices.
        columns: `(P,)` indices.
        lower: `(P,)` bounds.
        upper: `(P,)` bounds.
    """

    rows: IndexArray
    columns: IndexArray
    lower: Float64Array
    upper: Float64Array


class PairDistances:
    """The squared distances between `(M, D)` rows and `(N, D)` columns.

    Beside the sets it holds a few blocks and a few numbers a point.

    Attributes:
        shape: `(M, N)`.
        step: The most rows or columns of a block.
    """

    def __init__(self, rows: FloatArray, columns: FloatArray) -> None:
        self._rows = rows
        self._columns = columns
        self.shape = len(rows), len(columns)
        self.step = block_points(rows.shape[1])
        self._exact_step = max(1, _EXACT_VALUES // max(1, rows.shape[1]))
        # Any centre is right; one amid the points keeps the norms and so the errors small. In
        # float32, so that the float32 difference to it is rounded only once.
        self._centre = columns.mean(axis=0, dtype=np.float64).astype(np.float32)
        norms = self._squared_norms(rows), self._squared_norms(columns)
        # To a size of about 1, against overflow and underflow; a power of two rounds nothing.
        _, exponent = np.frexp(np.sqrt(max(part.max(initial=0) for part in norms)))
        self._scale = float(np.ldexp(1.0, -int(np.clip(exponent, -126, 126))))
        self._norms_rows, self._norms_columns = (part * self._scale**2 for part in norms)
        self._left: tuple[slice, npt.DTypeLike, AnyFloatArray] | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield every pair once."""
        for rows in slices(0, self.shape[0], self.step):
            for columns in slices(0, self.shape[1], self.step):
                yield self.block(rows, columns)

    def block(self, rows: slice, columns: slice) -> Block:
        """Return lower bounds for the pairs of some rows and columns."""
        return Block(rows, columns, self._lower(rows, columns, np.float32))

    def candidates(self, block: Block, limits: Float64Array) -> Pairs:
        """Return the pairs of a block that may be within `limits`, row by row.

        Args:
            block: Is sharpened to float64 where float32 leaves too many pairs open.
            limits: Of the squared distances, of a shape that broadcasts to the block's.
        """
        found = self._candidates(block, limits)
        if block.lower.dtype == np.float32:
            is_open = found.upper > _limits_of(found, block, limits)
            if np.count_nonzero(is_open) > block.lower.size // _EXACT_COST:
                passed_over = np.isinf(block.lower)
                block.lower = self._lower(block.rows, block.columns, np.float64)
                block.lower[passed_over] = np.inf
                found = self._candidates(block, limits)
        return found

    def within(self, block: Block, limits: Float64Array) -> tuple[IndexArray, IndexArray]:
        """Return rows and columns of the block's pairs within `limits`, the limit included."""
        found = self.candidates(block, limits)
        limit = _limits_of(found, block, limits)
        inside = found.upper <= limit
        is_open = np.flatnonzero(~inside)
        exact = self.exact(found.rows[is_open], found.columns[is_open])
        inside[is_open] = exact <= limit[is_open]
        return found.rows[inside], found.columns[inside]

    def bounds(self, block: Block, flat: IndexArray) -> Pairs:
        """Return P pairs of a block, given by their places `(P,)` in the flattened block."""
        rows, columns = np.divmod(flat, block.lower.shape[1])
        lower = block.lower.ravel()[flat].astype(np.float64)
        rows += block.rows.start
        columns += block.columns.start
        slack = self._slack(self._norms_rows[rows], block.lower.dtype)
        slack += self._slack(self._norms_columns[columns], block.lower.dtype)
        unit = self._scale**2
        return Pairs(rows, columns, lower / unit, (lower + 2 * slack) / unit)

    def exact(self, rows: IndexArray, columns: IndexArray) -> Float64Array:
        """Return the squared distances of P pairs, `(P,)`, summed up in float64."""
        result = np.empty(len(rows))
        for part in slices(0, len(rows), self._exact_step):
            offset = np.subtract(
                self._rows[rows[part]], self._columns[columns[part]], dtype=np.float64
            )
            result[part] = np.einsum("pd,pd->p", offset, offset)
        return result

    def _candidates(self, block: Block, limits: Float64Array) -> Pairs:
        # Finite, so that no infinite bound is within it.
        bound = np.minimum(limits * self._scale**2, _ABOVE_ALL).astype(block.lower.dtype)
        return self.bounds(block, np.flatnonzero(block.lower <= bound))

    def _squared_norms(self, points: FloatArray) -> Float64Array:
        result = np.empty(len(points))
        for part in slices(0, len(points), self._exact_step):
            offset = np.subtract(points[part], self._centre, dtype=np.float64)
            result[part] = np.einsum("nd,nd->n", offset, offset)
        return result

    def _slack(self, squared_norms: Float64Array, dtype: npt.DTypeLike) -> Float64Array:
        """Return each point's part of the error of a lower bound, a sum over its two points."""
        width, info = self._rows.shape[1], np.finfo(dtype)
        # Of the product, whose terms' sizes sum up to at most twice the squared norms, of its
        # operands and of a limit to compare with; then of the norms and the exact distances.
        relative = _gamma(2 * width + 24, info.eps) + _gamma(4 * width + 24, np.finfo(float).eps)
        # Products may underflow; points at the centre have none.
        underflow = 32 * (width + 4) * float(info.tiny)
        slack: Float64Array = relative * squared_norms + underflow * (squared_norms > 0)
        return slack

    def _lower(self, rows: slice, columns: slice, dtype: npt.DTypeLike) -> AnyFloatArray:
        """Return (-2a, 1, |a|^2 - slack) times (b, |b|^2 - slack, 1) for each pair."""
        if self._left is None or self._left[:2] != (rows, dtype):
            left = self._operand(self._rows[rows], -2 * self._scale, dtype)
            norms = self._norms_rows[rows]
            left[:, -2] = 1
            left[:, -1] = norms - self._slack(norms, dtype)
            self._left = rows, dtype, left
        right = self._operand(self._columns[columns], self._scale, dtype)
        norms = self._norms_columns[columns]
        right[:, -2] = norms - self._slack(norms, dtype)
        right[:, -1] = 1
        product: AnyFloatArray = self._left[2] @ right.T
        return product

    def _operand(self, points: FloatArray, factor: float, dtype: npt.DTypeLike) -> AnyFloatArray:
        """Return centred points times a factor, with two more columns for the norms."""
        result = np.empty((len(points), points.shape[1] + 2), dtype=dtype)
        centred = result[:, :-2]
        finest = np.result_type(points, dtype)
        np.subtract(points, self._centre, out=centred, dtype=finest, casting="same_kind")
        centred *= factor
        return result


def block_points(width: int) -> int:
    """Return the most rows or columns of a block of points of that width."""
    return max(1, min(_BLOCK_POINTS, _BLOCK_VALUES // max(1, width)))


def slices(start: int, stop: int, step: int) -> Iterator[slice]:
    """Yield consecutive slices of `step`, the last one shorter."""
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def _limits_of(pairs: Pairs, block: Block, limits: Float64Array) -> Float64Array:
    whole = np.broadcast_to(limits, block.lower.shape)
    limit: Float64Array = whole[pairs.rows - block.rows.start, pairs.columns - block.columns.start]
    return limit


def _gamma(num_terms: int, eps: float) -> float:
    error = num_terms * float(eps) / 2
    return error / (1 - error)
