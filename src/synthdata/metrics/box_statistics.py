"""How far the boxes of two sets of images lie from each other, quantity by quantity.

A distance is the 1-D Wasserstein distance: how far a value must be moved on average to turn one
set into the other. Its unit is the quantity's:

- `count`: objects an image.
- `log_area`: natural log of the box's share of the image; 0.1 means areas about 10 % apart.
- `log_aspect`: natural log of width over height, in pixels.
- `centre_x`, `centre_y`: shares of the image's width and height.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance

from synthdata.samples import Annotations

QUANTITIES: Final = ("count", "log_area", "log_aspect", "centre_x", "centre_y")
_SMALLEST_SIDE: Final = 1e-3  # pixels; an empty box has a logarithm too

BoxValues = dict[str, npt.NDArray[np.float64]]


class Labelled(Protocol):
    """An image or a layout: a canvas in pixels with objects on it."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def annotations(self) -> Annotations:
        """The objects."""


def box_values(images: Iterable[Labelled], *, class_id: int | None = None) -> list[BoxValues]:
    """Return each image's values by quantity: one `count`, and `(N,)` of its N boxes.

    Args:
        images: Samples of a data set, or layouts.
        class_id: Whose boxes; None for all.
    """
    return [_values(image, class_id) for image in images]


def box_distances(
    real: Sequence[BoxValues], generated: Sequence[BoxValues]
) -> dict[str, float | None]:
    """Return the distances by quantity; None where a set has no value.

    Example:
        `box_distances(box_values(real, class_id=0), box_values(layouts, class_id=0))`
    """
    return {name: box_distance(real, generated, name) for name in QUANTITIES}


def box_distance(
    real: Sequence[BoxValues], generated: Sequence[BoxValues], quantity: str
) -> float | None:
    """Return the distance in one quantity; None where a set has no value."""
    a, b = pooled(real, quantity), pooled(generated, quantity)
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else None


def pooled(values: Sequence[BoxValues], quantity: str) -> npt.NDArray[np.float64]:
    """Return the values of all images in one quantity, `(N,)`."""
    return np.concatenate([np.zeros(0), *(one[quantity] for one in values)])


def _values(image: Labelled, class_id: int | None) -> BoxValues:
    xyxy = image.annotations.xyxy.astype(np.float64)
    if class_id is not None:
        xyxy = xyxy[image.annotations.class_id == class_id]
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], _SMALLEST_SIDE)
    centre = (xyxy[:, 2:] + xyxy[:, :2]) / 2
    return {
        "count": np.array([len(xyxy)], dtype=np.float64),
        "log_area": np.log(size.prod(axis=1) / (image.width * image.height)),
        "log_aspect": np.log(size[:, 0] / size[:, 1]),
        "centre_x": centre[:, 0] / image.width,
        "centre_y": centre[:, 1] / image.height,
    }
