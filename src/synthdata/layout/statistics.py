"""How far new layouts lie from real ones, beside how far real ones lie from each other."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance

from synthdata.layout.geometry import nearest_separation
from synthdata.samples import Annotations, Layout
from synthdata.seeding import derive_seed

QUANTITIES: Final = ("count", "log_area", "log_aspect", "centre_x", "centre_y", "separation")
_NUM_SPLITS: Final = 20

Values = dict[str, npt.NDArray[np.float64]]


def layout_distances(
    real: Sequence[Layout], new: Sequence[Layout], *, class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return, by class and quantity, the Wasserstein distance of new from real layouts.

    Quantities: `count` an image, `log_area` and `log_aspect` (width over height) in pixels,
    `centre_x` and `centre_y` as fractions of the image, `separation` from the nearest other
    object in pixels. Each entry holds `distance`, in the quantity's unit; `between_real`, the
    mean distance between random halves of the real layouts, which no model can be expected
    to beat; and `std`, the real standard deviation. None where there are too few objects.
    """
    halves = _random_halves(len(real))
    result: dict[str, dict[str, Any]] = {}
    for class_id, name in enumerate(class_names):
        real_values = [_values(layout, class_id) for layout in real]
        new_values = [_values(layout, class_id) for layout in new]
        result[name] = {
            quantity: {
                "distance": _distance(_pool(real_values, quantity), _pool(new_values, quantity)),
                "between_real": _mean(
                    _distance(
                        _pool([real_values[i] for i in a], quantity),
                        _pool([real_values[i] for i in b], quantity),
                    )
                    for a, b in halves
                ),
                "std": _std(_pool(real_values, quantity)),
            }
            for quantity in QUANTITIES
        }
    return result


def _values(layout: Layout, class_id: int) -> Values:
    chosen = layout.annotations.class_id == class_id
    xyxy = layout.annotations.xyxy[chosen].astype(np.float64)
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1e-3)
    centre = (xyxy[:, 2:] + xyxy[:, :2]) / 2
    nearest = _nearest(layout.annotations)[chosen]
    return {
        "count": np.array([chosen.sum()], dtype=np.float64),
        "log_area": np.log(size.prod(axis=1)),
        "log_aspect": np.log(size[:, 0] / size[:, 1]),
        "centre_x": centre[:, 0] / layout.width,
        "centre_y": centre[:, 1] / layout.height,
        "separation": nearest[np.isfinite(nearest)],
    }


def _nearest(annotations: Annotations) -> npt.NDArray[np.float64]:
    return nearest_separation(annotations.xyxy).astype(np.float64)


def _pool(values: Sequence[Values], quantity: str) -> npt.NDArray[np.float64]:
    return np.concatenate([value[quantity] for value in values]) if values else np.zeros(0)


def _distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else None


def _mean(distances: Any) -> float | None:  # noqa: ANN401
    known = [value for value in distances if value is not None]
    return float(np.mean(known)) if known else None


def _std(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.std()) if len(values) else None


def _random_halves(num_images: int) -> list[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(derive_seed(0, "layout-halves"))
    if num_images < 2:
        return []
    halves = []
    for _ in range(_NUM_SPLITS):
        order = rng.permutation(num_images).tolist()
        halves.append((order[: num_images // 2], order[num_images // 2 :]))
    return halves
