"""Scores images by whether they are copies of train images.

A generator that learns from few images may give them back, noisy, mirrored or shifted. An image's
distance to the nearest train image, mirror images of it included, is set beside the distances
that real train images keep from each other: what is no nearer than these scores 1, so that
novelty beyond that is no merit.
"""

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.neighbors import NearestNeighbors

from synthdata.boxes import FloatArray
from synthdata.config.filter import MemorisationFilterConfig
from synthdata.features import ImageEncoder
from synthdata.features.images import image_features
from synthdata.filters.base import ImageScore
from synthdata.samples import DetectionDataset, IntArray

_MIRROR_IMAGES: Final = 4  # of each train image, itself one of them
# The distance that all but this share of the real images keep from each other.
_NEAR: Final = 0.05
# Real images nearer than this, in medians, are one scene photographed twice: they would make
# copies look usual.
_SAME_SCENE: Final = 0.5


def score_by_memorisation(
    config: MemorisationFilterConfig,
    *,
    encoder: ImageEncoder,
    train: DetectionDataset,
    pool: DetectionDataset,
    cache_dir: Path,
) -> list[ImageScore]:
    """Return a score an image of the pool, in its order.

    Args:
        config: The size at which images are compared.
        encoder: What turns them into features.
        train: What may have been copied.
        pool: The generated images.
        cache_dir: For features, see `image_features`.
    """
    if not len(pool):
        return []
    if len(train) < 2:
        return [
            ImageScore(s.sample_id, None, "one train image: no distance to go by") for s in pool
        ]
    look = partial(image_features, encoder=encoder, size=config.image_size, cache_dir=cache_dir)
    known = look(train, mirrored=True)
    between = _distances_between(known)
    scenes = between[between >= _SAME_SCENE * np.median(between)]
    usual = max(float(np.quantile(scenes, _NEAR)), 1e-12)
    distance, index = _search(known, look(pool), num_neighbors=1)
    return [
        ImageScore(
            sample.sample_id,
            min(1.0, ratio),
            f"{ratio:.2f} of the distance that real images keep from each other, "
            f"to {train.samples[nearest // _MIRROR_IMAGES].sample_id}",
        )
        for sample, ratio, nearest in zip(
            pool, (distance[:, 0] / usual).tolist(), index[:, 0].tolist(), strict=True
        )
    ]


def _distances_between(known: FloatArray) -> FloatArray:
    """Return each train image's distance to the nearest other one, `(N,)`.

    Args:
        known: `(N * mirror images, D)`, an image's own mirror images in a row.
    """
    distance, index = _search(known, known[::_MIRROR_IMAGES], num_neighbors=_MIRROR_IMAGES + 1)
    own = index // _MIRROR_IMAGES == np.arange(len(distance))[:, None]
    result: FloatArray = np.where(own, np.inf, distance).min(axis=1)
    return result


def _search(
    known: FloatArray, query: FloatArray, *, num_neighbors: int
) -> tuple[FloatArray, IntArray]:
    """Return distances to and rows of the nearest known vectors, `(M, k)` each."""
    # The tree subtracts vectors. Brute force multiplies matrices, which loses small distances and
    # makes a query's last digits depend on the others.
    search = NearestNeighbors(n_neighbors=num_neighbors, algorithm="kd_tree").fit(known)
    distance, index = search.kneighbors(query)
    return distance, index
