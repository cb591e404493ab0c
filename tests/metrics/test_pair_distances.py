import numpy as np
import pytest

from synthdata.metrics.pair_distances import Block, PairDistances

RNG = np.random.default_rng(0)


def tight_modes(num: int) -> np.ndarray:
    """Two far places; float32 bounds can't tell the points of one apart."""
    places = RNG.integers(0, 2, (num, 1)) * 1000
    return (places + RNG.normal(0, 0.1, (num, 200))).astype(np.float32)


def whole(pairs: PairDistances) -> Block:
    return pairs.block(slice(0, pairs.shape[0]), slice(0, pairs.shape[1]))


def assert_bounds_hold(pairs: PairDistances, block: Block) -> None:
    found = pairs.bounds(block, np.flatnonzero(np.isfinite(block.lower)))
    exact = pairs.exact(found.rows, found.columns)
    assert (found.lower <= exact).all()
    assert (exact <= found.upper).all()


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1, 1e30])
@pytest.mark.parametrize("offset", [0, 1, 1e6])
def test_bounds_hold(size: float, offset: float) -> None:
    rows, columns = (((RNG.normal(size=(90, 70)) + offset) * size).astype("f4") for _ in range(2))
    columns[:40] = rows[:40]
    pairs = PairDistances(rows, columns)
    assert_bounds_hold(pairs, whole(pairs))


def test_a_block_that_leaves_much_open_is_sharpened() -> None:
    pairs = PairDistances(tight_modes(120), tight_modes(90))
    block = whole(pairs)
    assert_bounds_hold(pairs, block)
    block.lower[3, 4] = np.inf
    limit = np.array([[2 * 200 * 0.1**2]])  # the typical squared distance within a mode
    found = pairs.candidates(block, limit)
    assert block.lower.dtype == np.float64
    assert np.isinf(block.lower[3, 4])
    assert_bounds_hold(pairs, block)
    exact = pairs.exact(found.rows, found.columns)
    np.testing.assert_allclose(found.lower, exact, rtol=1e-3)
    np.testing.assert_allclose(found.upper, exact, rtol=1e-3)


def test_exact_is_the_same_in_any_company() -> None:
    points = RNG.normal(size=(50, 333)).astype(np.float32)
    pairs = PairDistances(points, points)
    rows, columns = np.divmod(np.arange(2500), 50)
    together = pairs.exact(rows, columns)
    assert together.tolist() == pairs.exact(columns, rows).tolist()
    alone = [pairs.exact(rows[[i]], columns[[i]])[0] for i in range(2500)]
    assert together.tolist() == alone
