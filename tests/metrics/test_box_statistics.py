from dataclasses import replace

import numpy as np
import pytest

from builders import random_annotations
from synthdata.boxes import scale
from synthdata.metrics.box_statistics import QUANTITIES, box_distances, box_values
from synthdata.samples import Annotations, DetectionDataset, Layout


def layouts(num: int, *, seed: int = 0) -> list[Layout]:
    rng = np.random.default_rng(seed)
    return [
        Layout(f"{i}", 64, 48, random_annotations(rng, num=int(rng.integers(3, 8))))
        for i in range(num)
    ]


def changed(
    images: list[Layout], *, factor: tuple[float, float] = (1, 1), shift: float = 0
) -> list[Layout]:
    """The boxes of class 1 scaled about their centres and moved right."""
    result = []
    for image in images:
        xyxy = image.annotations.xyxy.copy()
        of_class = image.annotations.class_id == 1
        centre = np.tile((xyxy[:, :2] + xyxy[:, 2:]) / 2, 2)
        moved = centre + (xyxy - centre) * np.tile(factor, 2) + np.array([shift, 0, shift, 0])
        xyxy[of_class] = moved[of_class]
        result.append(replace(image, annotations=Annotations(xyxy, image.annotations.class_id)))
    return result


def distances(
    real: list[Layout], generated: list[Layout], class_id: int | None = 1
) -> dict[str, float | None]:
    return box_distances(
        box_values(real, class_id=class_id), box_values(generated, class_id=class_id)
    )


def test_each_quantity_has_its_unit() -> None:
    real = layouts(20)
    assert distances(real, real) == dict.fromkeys(QUANTITIES, 0)
    larger = distances(real, changed(real, factor=(2, 1)))
    assert larger == pytest.approx(
        {"count": 0, "log_area": np.log(2), "log_aspect": np.log(2), "centre_x": 0, "centre_y": 0},
        abs=1e-5,
    )
    moved = distances(real, changed(real, shift=6.4))
    assert moved == pytest.approx(dict.fromkeys(QUANTITIES, 0) | {"centre_x": 0.1}, abs=1e-5)
    twice = [
        replace(one, annotations=one.annotations.select(np.repeat(np.arange(n), 2)))
        for one in real
        if (n := len(one.annotations))
    ]
    of_all = distances(real, twice, None)
    assert of_all["count"] == pytest.approx(np.mean([len(one.annotations) for one in real]))
    assert of_all["log_area"] == pytest.approx(0, abs=1e-9)


def test_a_class_is_measured_alone_or_with_the_others() -> None:
    real = layouts(20)
    larger = changed(real, factor=(2, 2))
    assert distances(real, larger, 0) == dict.fromkeys(QUANTITIES, 0)
    of_class = sum((one.annotations.class_id == 1).sum() for one in real)
    of_all = sum(len(one.annotations) for one in real)
    found = distances(real, larger, None)["log_area"]
    assert 0 < found <= np.log(4) * of_class / of_all + 1e-6


def test_the_size_of_the_canvas_does_not_matter() -> None:
    real = layouts(10)
    doubled = [
        Layout(
            one.layout_id, 128, 96,
            replace(one.annotations, xyxy=scale(one.annotations.xyxy, factor_x=2, factor_y=2)),
        )
        for one in real
    ]  # fmt: skip
    assert distances(real, doubled) == pytest.approx(dict.fromkeys(QUANTITIES, 0), abs=1e-5)


def test_distance_is_the_area_between_the_distribution_functions() -> None:
    real, generated = layouts(15, seed=1), layouts(9, seed=2)

    def centres(images: list[Layout]) -> np.ndarray:
        return np.concatenate([
            (one.annotations.xyxy[:, 0] + one.annotations.xyxy[:, 2]) / 2 / 64 for one in images
        ])  # fmt: skip

    grid = np.linspace(0, 1, 200_001)
    below = [np.searchsorted(np.sort(centres(i)), grid) for i in (real, generated)]
    gap = np.abs(below[0] / below[0][-1] - below[1] / below[1][-1])
    found = distances(real, generated, None)["centre_x"]
    assert found == pytest.approx(gap.mean(), abs=1e-4)


def test_without_boxes_only_counts_can_be_compared() -> None:
    real = layouts(5)
    empty = [replace(one, annotations=Annotations.empty()) for one in real]
    found = distances(real, empty, None)
    assert found.pop("count") == pytest.approx(np.mean([len(one.annotations) for one in real]))
    assert found == dict.fromkeys(QUANTITIES[1:])
    assert distances(empty, empty, None)["count"] == 0
    assert box_distances([], box_values(real)) == dict.fromkeys(QUANTITIES)


def test_an_empty_box_has_values() -> None:
    point = Layout("point", 64, 48, Annotations([[5, 5, 5, 5]], [0]))
    assert all(np.isfinite(values).all() for values in box_values([point])[0].values())


def test_halves_of_bccd_are_nearer_than_its_classes(bccd: DetectionDataset) -> None:
    a, b = (box_values(bccd.samples[i::2], class_id=0) for i in (0, 1))
    white = box_values(bccd.samples, class_id=1)
    halves, classes = box_distances(a, b), box_distances(a, white)
    for quantity in ("count", "log_area"):
        assert classes[quantity] > 4 * halves[quantity]
