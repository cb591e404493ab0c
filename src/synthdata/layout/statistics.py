"""How far new layouts lie from real ones, beside how far real ones lie from each other."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synthdata.layout.geometry import nearest_separation
from synthdata.metrics import box_statistics
from synthdata.metrics.box_statistics import BoxValues, box_distance, box_values, pooled
from synthdata.samples import Annotations, Layout
from synthdata.seeding import derive_seed

QUANTITIES: Final = (*box_statistics.QUANTITIES, "separation")
_NUM_SPLITS: Final = 20


def layout_distances(
    real: Sequence[Layout], new: Sequence[Layout], *, class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return, by class and quantity, the Wasserstein distance of new from real layouts.

    Quantities: those of `metrics.box_statistics`, and `separation` from the nearest other object
    in pixels. Each entry holds `distance`, in the quantity's unit; `between_real`, the
    mean distance between random halves of the real layouts, smaller sets and so a little
    further apart; and `std`, the real standard deviation. None where there are too few objects.
    """
    halves = _random_halves(len(real))
    result: dict[str, dict[str, Any]] = {}
    for class_id, name in enumerate(class_names):
        real_values, new_values = _values(real, class_id), _values(new, class_id)
        result[name] = {
            quantity: {
                "distance": box_distance(real_values, new_values, quantity),
                "between_real": _mean(
                    box_distance([real_values[i] for i in a], [real_values[i] for i in b], quantity)
                    for a, b in halves
                ),
                "std": _std(pooled(real_values, quantity)),
            }
            for quantity in QUANTITIES
        }
    return result


def _values(layouts: Sequence[Layout], class_id: int) -> list[BoxValues]:
    return [
        values | {"separation": _separation(layout.annotations, class_id)}
        for layout, values in zip(layouts, box_values(layouts, class_id=class_id), strict=True)
    ]


def _separation(annotations: Annotations, class_id: int) -> npt.NDArray[np.float64]:
    nearest = nearest_separation(annotations.xyxy).astype(np.float64)
    chosen: npt.NDArray[np.float64] = nearest[annotations.class_id == class_id]
    return chosen[np.isfinite(chosen)]


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
