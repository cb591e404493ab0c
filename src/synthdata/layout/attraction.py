"""How much more often than by chance two classes' objects lie at a distance.

The pair correlation function of a point process (Illian et al. 2008, chapter 4), between
boxes: 1 is chance, 0 is never, above 1 is a cluster. Distances count in sides of the smaller
box, negative where the boxes overlap.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray, area
from synthdata.layout.geometry import separation_matrix
from synthdata.samples import DetectionDataset, Sample
from synthdata.seeding import derive_seed

_BIN_EDGES: Final = np.array([-0.75, -0.5, -0.35, -0.2, -0.1, 0, 0.15, 0.3, 0.6, 1.2, 2.4])
# Pairs that a bin must hold before it speaks: few real pairs shrink the ratio to chance.
_PRIOR_PAIRS: Final = 2.0
_MAX_OBJECTS: Final = 5000


def fit_attraction(train: DetectionDataset) -> FloatArray:
    """Return the `(classes, classes, bins)` ratios of real to chance pairs, symmetric.

    Real pairs share an image; chance pairs are made of objects of different images, scaled to
    one canvas. With one image there are no chance pairs, and every ratio is 1.
    """
    num_classes, num_bins = len(train.class_names), len(_BIN_EDGES) + 1
    samples = _enough_images(train)
    boxes = np.concatenate(
        [s.annotations.xyxy / np.sqrt(np.float32(s.width * s.height)) for s in samples]
    )
    class_id = np.concatenate([sample.annotations.class_id for sample in samples])
    image = np.repeat(np.arange(len(samples)), [len(s.annotations) for s in samples])
    real = np.zeros((num_classes, num_classes, num_bins))
    chance = np.zeros_like(real)
    for index in range(len(boxes)):  # one row of the pair matrix at a time bounds the memory
        bins = _bins(boxes[index : index + 1], boxes)[0]
        same_image = image == image[index]
        np.add.at(chance[class_id[index]], (class_id[~same_image], bins[~same_image]), 1)
        same_image[index] = False
        np.add.at(real[class_id[index]], (class_id[same_image], bins[same_image]), 1)
    total = np.maximum(chance.sum(axis=2, keepdims=True), 1)
    expected = chance / total * real.sum(axis=2, keepdims=True)
    known = chance.sum(axis=2, keepdims=True) > 0
    ratio = np.where(known, (real + _PRIOR_PAIRS) / (expected + _PRIOR_PAIRS), 1)
    return ratio.astype(np.float32)


def _enough_images(train: DetectionDataset) -> list[Sample]:
    """Return random images with a few thousand objects: the work grows with their square."""
    order = np.random.default_rng(derive_seed(0, "attraction")).permutation(len(train))
    num_objects = np.cumsum([len(train.samples[i].annotations) for i in order])
    num_images = max(1, int(np.searchsorted(num_objects, _MAX_OBJECTS, side="right")))
    return [train.samples[i] for i in order[:num_images]]


def attraction_weight(
    candidates: FloatArray, placed: FloatArray, factors: FloatArray
) -> npt.NDArray[np.float64]:
    """Return how likely each candidate box is beside the placed ones.

    Args:
        candidates: `(N, 4)` pixels.
        placed: `(M, 4)` pixels.
        factors: `(M, bins)` ratios between the candidates' class and each placed one's.

    Returns:
        `(N,)` products over the placed boxes; 1 where there are none.
    """
    bins = _bins(candidates, placed)
    chosen = factors[np.arange(len(placed))[None, :], bins].astype(np.float64)
    weight: npt.NDArray[np.float64] = chosen.prod(axis=1)
    return weight


def _bins(boxes_a: FloatArray, boxes_b: FloatArray) -> npt.NDArray[np.int64]:
    smaller = np.sqrt(np.minimum(area(boxes_a)[:, None], area(boxes_b)[None, :]))
    relative = separation_matrix(boxes_a, boxes_b) / np.maximum(smaller, 1e-9)
    return np.digitize(relative, _BIN_EDGES)
