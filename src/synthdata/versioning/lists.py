"""How often each image occurs in a training list."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from synthdata.config.arms import Sampling
from synthdata.samples import IntArray, Sample

Float64Array = npt.NDArray[np.float64]


def draw_places(
    samples: Sequence[Sample],
    *,
    places: int,
    sampling: Sampling,
    num_classes: int,
    rng: np.random.Generator,
) -> IntArray:
    """Return which image stands at each of a list's places, before the list is shuffled.

    Args:
        samples: The images; there is at least one where there are places.
        places: How many.
        sampling: `even`: no image occurs more than once more often than another; where there are
            more images than places, a random part occurs once. Otherwise in proportion to
            `image_weights`, as nearly as whole numbers allow, and at least once where there
            are as many places as images.
        num_classes: Of the data set.
        rng: Of what is left to chance.

    Returns:
        `(places,)` positions in `samples`.
    """
    num = len(samples)
    if not places:
        return np.zeros(0, np.int64)
    if sampling == "even":
        every_one, rest = divmod(places, num)
        return np.concatenate([np.tile(np.arange(num), every_one), rng.permutation(num)[:rest]])
    once = 1 if places >= num else 0
    weights = image_weights(samples, sampling=sampling, num_classes=num_classes)
    wanted = _at_least(once, places * weights / weights.sum(), places)
    repeats = np.floor(wanted).astype(np.int64)
    # Largest remainders first; equal ones in random order.
    order = rng.permutation(num)
    order = order[np.argsort(repeats[order] - wanted[order], kind="stable")]
    repeats[order[: places - int(repeats.sum())]] += 1
    return np.repeat(np.arange(num), repeats)


def _at_least(once: int, wanted: Float64Array, places: int) -> Float64Array:
    """Return numbers that sum to `places`, none below `once`, the others scaled down for it."""
    low = np.zeros(len(wanted), bool)
    while (grown := low | (wanted < once)).sum() > low.sum():
        low = grown
        rest = places - once * low.sum()
        scaled = wanted * (rest / max(wanted[~low].sum(), 1e-12))
        wanted = np.where(low, float(once), scaled)
    return wanted


def image_weights(
    samples: Sequence[Sample], *, sampling: Sampling, num_classes: int
) -> Float64Array:
    """Return how often each image is to occur, in proportion, `(N,)`.

    `repeat_factor`: the largest `sqrt(t / f(c))` of its classes, where `f(c)` is the share of
    images that show class `c` (Gupta et al. 2019, "LVIS", section 4.2). Their threshold `t` is
    .001, for a thousand classes; here it is 1, so that it has an effect where classes are few.
    `instance_balanced`: the sum over its objects of one over the number of objects of the class, so
    that each class is seen about as often. An image without objects weighs as much as the
    lightest with some.
    """
    counts = np.array([one.annotations.counts(num_classes) for one in samples], np.float64)
    counts = counts.reshape(len(samples), num_classes)
    if sampling == "even":
        return np.ones(len(samples))
    if sampling == "repeat_factor":
        shown = np.maximum((counts > 0).mean(axis=0), 1e-12)
        weights = np.where(counts > 0, 1 / np.sqrt(shown), 0).max(axis=1, initial=0)
    else:
        weights = (counts / np.maximum(counts.sum(axis=0), 1)).sum(axis=1)
    lightest = weights[weights > 0].min(initial=np.inf)
    return np.where(weights > 0, weights, lightest if np.isfinite(lightest) else 1.0)
