"""A metric's value at matched sample size, its interval, and what real data give against itself.

Both sets are cut at random to as many independent units and as many items. Then half-samples are
drawn again and again, without replacement: the metric is computed between half of the real items
and half of the generated ones, and between that half of the real items and another one. The mean
of the first is the value, their percentiles are the interval, and the mean of the second is the
reference: what more images like the real ones would give. All are at the same sample size, on
which FID, Inception Score and neighbour metrics depend. The percentiles of the differences within a
draw tell whether value and reference differ.

Where generated items were made for the layouts of the real ones, the sets are paired: a generated
half then has the layouts that the real half has not, as another real half would. Else half of the
layouts would be in both, and a perfect generator would come out nearer than real images do. Each
draw then uses all layouts, half of them on either side, so that what is said below on the interval
holds with a margin: it comes out wider than the value's own spread, the more so the more images of
one layout have in common. `differs` is apart from that, since both terms have the same units.

Why not the bootstrap: drawn with replacement, an item meets its own copy at distance 0, which
shifts MMD, FID and neighbour metrics away from what independent items give. Subsampling without
replacement has no copies (Politis and Romano, "Large Sample Confidence Regions Based on
Subsamples under Minimal Assumptions", 1994). Why half, and unscaled: the mean over all
half-samples is a U-statistic whose kernel is the metric on a half-sample, and the variance of
such a mean is at most half of the kernel's (Hoeffding, "A Class of Statistics with Asymptotically
Normal Distribution", 1948). What is left, the spread of half-samples of one data set
that the interval is made of, is then on average at least the variance of the value: equal to it
for metrics that are near to linear in the data, larger where the sets hardly differ.

The interval is therefore of the metric's expected value at this sample size, over new real and
generated items. It doesn't tell how far that is from the value on endless data: FID and neighbour
metrics depend on the sample size, and crops of one image are alike, which raises KID and CMMD. The
real halves show the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synthdata.samples import IntArray

# Of fewer, a half has less than ten, and the tails of the spread of halves mean little.
MIN_UNITS: Final = 20


@dataclass(frozen=True, eq=False)
class Items:
    """N measured things, and which of them stand or fall together.

    Attributes:
        values: `(N, ...)` an entry an item: its vector, score, or boxes.
        unit: `(N,)` what was drawn independently: for crops, the image that each is from, since
            crops of one image are alike.
    """

    values: npt.NDArray[Any]
    unit: IntArray

    def __post_init__(self) -> None:
        if self.unit.shape != (len(self.values),):
            raise ValueError(
                f"items need a unit each, got {len(self.values)} values and units of shape "
                f"{self.unit.shape}"
            )

    @classmethod
    def independent(cls, values: npt.NDArray[Any]) -> "Items":
        """Return items that are units themselves."""
        return cls(values, np.arange(len(values)))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: IntArray | npt.NDArray[np.bool_]) -> "Items":
        """Return the items at `index` (places or a mask)."""
        return Items(self.values[index], self.unit[index])

    def unit_sizes(self) -> IntArray:
        """Return the number of items of each unit."""
        return np.unique(self.unit, return_counts=True)[1]

    def unit_ranks(self, rng: np.random.Generator) -> IntArray:
        """Return each item's unit as its place in a random order of the units, `(N,)`."""
        names, place = np.unique(self.unit, return_inverse=True)
        return rng.permutation(len(names))[place]

    def order(self, rng: np.random.Generator) -> IntArray:
        """Return a random order of the items in which those of a unit are side by side."""
        return np.lexsort((rng.random(len(self)), self.unit_ranks(rng)))


@dataclass(frozen=True)
class Measure:
    """A metric and the sample size that it needs.

    Attributes:
        names: Of its values.
        compute: From the values of as many real and generated items, its values in the order
            of the names; None where one is undefined.
        minimum: Items of each set below which it means nothing.
        because: Why, as the end of a sentence.
    """

    names: tuple[str, ...]
    compute: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Sequence[float | None]]
    minimum: int = 1
    because: str = ""


@dataclass(frozen=True)
class Resampling:
    """How half-samples are drawn.

    Attributes:
        seed: Of the choice that cuts the sets to one size, and of the halves. All measures of
            the same items see the same halves.
        num_draws: How many halves; of fewer than 39 a 95 % interval ends at the extremes.
        confidence: Of the interval.
    """

    seed: int
    num_draws: int = 200
    confidence: float = 0.95


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its interval and its reference, or why there is none.

    Attributes:
        value: Between real and generated items, the mean over half-samples.
        low: Lower end of the interval.
        high: Upper end.
        halves: The same between two real halves: what real images give at this sample size.
        differs: Whether the interval of value minus halves leaves out 0.
        num: Items of each set in a half-sample.
        reason: Why there is no value; empty where there is one.
    """

    value: float | None
    low: float | None
    high: float | None
    halves: float | None
    differs: bool | None
    num: int
    reason: str = ""

    @classmethod
    def missing(cls, num: int, reason: str) -> "Estimate":
        """Return that there is no value."""
        return cls(None, None, None, None, None, num, reason)


def estimate(
    measure: Measure, *, real: Items, generated: Items, resampling: Resampling, paired: bool = False
) -> dict[str, Estimate]:
    """Return a measure's values by name.

    Args:
        measure: What to compute.
        real: Real items.
        generated: Generated ones.
        resampling: How half-samples are drawn.
        paired: Whether each generated item was made for the layout of the real one in its place.

    Raises:
        ValueError: If the measure can't use the items' values, NaN for instance, or items that
            are paired have different units.
    """
    rng = np.random.default_rng(resampling.seed)
    if not paired:
        real, generated = _matched(real, generated, rng)
    elif not np.array_equal(real.unit, generated.unit):
        raise ValueError(
            f"paired items need the same units in the same places, got {len(real)} real and "
            f"{len(generated)} generated items of other units"
        )
    # The first and the last items are so far apart that no unit is in both.
    num = (len(real) + 1 - int(real.unit_sizes().max(initial=1))) // 2
    reason = _too_small(measure, real, generated, num)
    if reason:
        return {name: Estimate.missing(num, reason) for name in measure.names}
    drawn, between = [], []
    for _ in range(resampling.num_draws):
        order = real.order(rng)
        half, other = real.values[order[:num]], real.values[order[-num:]]
        made = generated.values[(order if paired else generated.order(rng))[-num:]]
        drawn.append(measure.compute(half, made))
        between.append(measure.compute(half, other))
    columns = zip(
        measure.names,
        np.array(drawn, dtype=np.float64).T,  # None becomes NaN
        np.array(between, dtype=np.float64).T,
        strict=True,
    )
    return {name: _summary(a, b, num, resampling.confidence) for name, a, b in columns}


def _matched(real: Items, generated: Items, rng: np.random.Generator) -> tuple[Items, Items]:
    """Cut both at random to as many units, and then to as many items."""
    units = min(len(one.unit_sizes()) for one in (real, generated))
    a, b = (one.take(one.unit_ranks(rng) < units) for one in (real, generated))
    size = min(len(a), len(b))
    return a.take(rng.permutation(len(a))[:size]), b.take(rng.permutation(len(b))[:size])


def _too_small(measure: Measure, real: Items, generated: Items, num: int) -> str:
    """Return why there are too few items, or nothing."""
    units = min(len(one.unit_sizes()) for one in (real, generated))
    if units < MIN_UNITS:
        return (
            f"{MIN_UNITS} independent items of each set are needed at one size, there are {units}"
        )
    found, needed = min(_units_in_half(one, num) for one in (real, generated)), MIN_UNITS / 2
    if found < needed:
        return (
            f"half of the items come from {found:.0f} independent ones on average, {needed:.0f} "
            "are needed"
        )
    if num < measure.minimum:
        return (
            f"{measure.minimum} items of each set are needed in a half-sample, there are {num}: "
            f"{measure.because}"
        )
    return ""


def _units_in_half(items: Items, num: int) -> float:
    """Return from how many units `num` items come, on average."""
    rng = np.random.default_rng(0)
    return float(np.mean([len(np.unique(items.unit[items.order(rng)[:num]])) for _ in range(20)]))


def _summary(
    drawn: npt.NDArray[np.float64], between: npt.NDArray[np.float64], num: int, confidence: float
) -> Estimate:
    num_undefined = int(np.isnan(drawn + between).sum())
    if num_undefined:
        reason = f"too rare to be measured: in {num_undefined} of {len(drawn)} half-samples none"
        return Estimate.missing(num, reason)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    # NumPy's default takes percentiles of few draws too near to the middle.
    low, high = np.quantile(drawn, tails, method="weibull")
    least, most = np.quantile(drawn - between, tails, method="weibull")
    return Estimate(
        value=float(drawn.mean()),
        low=float(low),
        high=float(high),
        halves=float(between.mean()),
        differs=bool(least > 0 or most < 0),
        num=num,
    )
