"""Where an error of the denoiser counts more: on the objects, the small ones above all.

A plain mean over pixels hardly sees an object two latents wide, so that the model may leave it
out. Here every object carries the same extra weight, whatever its size.
"""

from collections.abc import Sequence

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.samples import Layout


def object_weights(
    layouts: Sequence[Layout], *, object_weight: float, downscale: int
) -> FloatArray:
    """Return a weight for each latent.

    Args:
        layouts: Of the same size; their boxes in pixels.
        object_weight: Extra weight of an object of mean area, in that of its background; an
            object of half the area has twice as much a latent. 0 weighs all latents alike.
        downscale: Pixels a latent, in each direction.

    Returns:
        `(N, height / downscale, width / downscale)` float32 with mean 1.
    """
    height, width = layouts[0].height // downscale, layouts[0].width // downscale
    sizes = [one.annotations.xyxy[:, 2:] - one.annotations.xyxy[:, :2] for one in layouts]
    areas = np.concatenate([size.prod(axis=1) for size in sizes])
    mean_area = areas.mean() if len(areas) else 1.0
    weights = np.ones((len(layouts), height, width), np.float32)
    for weight, layout, size in zip(weights, layouts, sizes, strict=True):
        for box, area in zip(layout.annotations.xyxy / downscale, size.prod(axis=1), strict=True):
            covered = _overlap(box[1], box[3], height)[:, None] * _overlap(box[0], box[2], width)
            weight += object_weight * mean_area / area * covered
    scaled: FloatArray = weights / weights.mean()
    return scaled


def _overlap(low: float, high: float, num_cells: int) -> FloatArray:
    """Return which part of each cell `[i, i + 1)` lies between two ends."""
    cells = np.arange(num_cells, dtype=np.float32)
    covered: FloatArray = np.clip(np.minimum(cells + 1, high) - np.maximum(cells, low), 0, 1)
    return covered
