"""The filter's twin: drops as many images, at random. Every filtered arm is judged by it."""

from collections.abc import Iterable

import numpy as np

from synthdata.seeding import derive_seed


def random_order(sample_ids: Iterable[str], *, seed: int) -> list[str]:
    """Return the ids in a random order; the order in which they come doesn't matter."""
    ordered = sorted(sample_ids)
    rng = np.random.default_rng(derive_seed(seed, "random-drop"))
    return [ordered[i] for i in rng.permutation(len(ordered))]
