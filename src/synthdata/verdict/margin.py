"""How far a mean paired difference may lie from the truth: margin and p-value.

A mean difference is uncertain for two reasons: what the seed changes, of which n repetitions
tell the variance s², and which images happen to be in the evaluation set, of which resampling
tells the variance v. Each has its own degrees of freedom, so that the margin at a level is

    margin² = t²(n - 1) s²/n + t²(m - 1) v

for n seeds and m images. Student's t of either share alone is the special case in which the
other is 0, and more variance never narrows an interval.

Sources: W. G. Howe, Approximate confidence limits on the mean of X + Y where X and Y are two
tabled independent random variables, Journal of the American Statistical Association 69, 1974;
the same sum of squared margins is the method of variance estimates recovery (MOVER): G. Y. Zou
and A. Donner, Statistics in Medicine 27, 2008.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import elementwise

Float64Array = npt.NDArray[np.float64]
# Equal differences leave rounding errors rather than 0 in a variance.
_NO_SPREAD = 1e-12
# Where a p-value is sought; a quantile further out loses its digits.
_SMALLEST_P = 1e-100


@dataclass(frozen=True)
class Spread:
    """What makes mean differences uncertain.

    Attributes:
        seeds: Variance of the mean over seeds, s²/n, of any shape; NaN where there is no spread
            to judge by.
        images: Variance by the choice of evaluation images, v, of the same shape.
        num_seeds: n.
        num_images: m, the images or groups that were resampled; None takes v as known, by the
            normal quantile.
    """

    seeds: Float64Array
    images: Float64Array
    num_seeds: int
    num_images: int | None = None

    @property
    def freedoms(self) -> tuple[float, float]:
        """Return the degrees of freedom of the two variances."""
        return self.num_seeds - 1, np.inf if self.num_images is None else self.num_images - 1

    def of(self, index: int) -> "Spread":
        """Return one entry of the last axis."""
        return replace(self, seeds=self.seeds[..., index], images=self.images[..., index])


def paired_spread(
    differences: Float64Array, *, image_variance: npt.ArrayLike = 0.0, num_images: int | None = None
) -> Spread:
    """Return what makes the mean of paired differences uncertain.

    Args:
        differences: `(n, ...)`, one for each seed along the first axis.
        image_variance: v, of a shape that fits `differences[0]`.
        num_images: As in `Spread`.

    Returns:
        Arrays of shape `(...)`. With fewer than two seeds, or where all seeds show exactly the
        same difference, there is no spread to judge by: NaN.
    """
    num_seeds, shape = len(differences), differences.shape[1:]
    images = np.broadcast_to(np.asarray(image_variance, np.float64), shape)
    if num_seeds < 2:
        return Spread(np.full(shape, np.nan), images, num_seeds, num_images)
    spreads = np.ptp(differences, axis=0) >= _NO_SPREAD
    seeds = np.where(spreads, differences.var(axis=0, ddof=1) / num_seeds, np.nan)
    return Spread(seeds, images, num_seeds, num_images)


def margin(spread: Spread, level: npt.ArrayLike) -> Float64Array:
    """Return the half width of the two-sided interval at a level, such as .05; NaN for NaN."""
    return _margin(np.asarray(level, np.float64), spread.seeds, spread.images, *spread.freedoms)


def p_values(difference: Float64Array, spread: Spread) -> Float64Array:
    """Return the level at which the margin equals each absolute mean difference.

    Args:
        difference: Mean differences, of the spread's shape.
        spread: What makes them uncertain.

    Returns:
        Two-sided p-values, those of the paired t-test where the images have no share; NaN
        without spread.
    """
    size = np.abs(difference)
    of_seeds, of_images = spread.freedoms
    total = np.sqrt(spread.seeds + spread.images)
    # One t-test with the freedom of either share is too strict, the other too lenient.
    bounds = [2 * stats.t.sf(size / total, freedom) for freedom in (of_seeds, of_images)]
    p = np.asarray(bounds[0], np.float64)
    mixed = (spread.images > 0) & (size > 0) & ~np.isnan(spread.seeds)
    if of_seeds == of_images or not mixed.any():
        return p
    low, high = np.log(np.clip(np.sort([bound[mixed] for bound in bounds], axis=0), _SMALLEST_P, 1))

    def surplus(
        log_level: Float64Array, size: Float64Array, seeds: Float64Array, images: Float64Array
    ) -> Float64Array:
        return _margin(np.exp(log_level), seeds, images, of_seeds, of_images) / size - 1

    found = elementwise.find_root(
        surplus,
        # The bounds are roots up to rounding where one share is next to nothing.
        (low - 1e-6, np.minimum(high + 1e-6, 0)),
        args=(size[mixed], spread.seeds[mixed], spread.images[mixed]),
        tolerances={"xrtol": 1e-10, "xatol": 1e-10},
    )
    p[mixed] = np.where(found.success, np.exp(found.x), _SMALLEST_P)
    return p


def _margin(
    level: Float64Array,
    seeds: Float64Array,
    images: Float64Array,
    of_seeds: float,
    of_images: float,
) -> Float64Array:
    if of_seeds < 1:
        return np.full(np.broadcast_shapes(level.shape, seeds.shape), np.nan)
    squares = [stats.t.isf(level / 2, freedom) ** 2 for freedom in (of_seeds, of_images)]
    return np.asarray(np.sqrt(squares[0] * seeds + squares[1] * images), np.float64)
