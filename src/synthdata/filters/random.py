"""The filter's twin: drops as many images, at random. Every filtered arm is judged by it."""

from collections.abc import Iterable

import numpy as np

from synthdata.seeding import derive_seed


def random_kept(sample_ids: Iterable[str], *, num_kept: int, seed: int) -> set[str]:
    """Return `num_kept` of the ids, at random; their order doesn't matter."""
    ordered = sorted(sample_ids)
    rng = np.random.default_rng(derive_seed(seed, "random-drop"))
    return {ordered[i] for i in rng.permutation(len(ordered))[:num_kept]}
