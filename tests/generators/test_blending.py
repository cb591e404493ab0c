import numpy as np
import pytest

from synthdata.generators.blending import paste, paste_poisson
from synthdata.samples import UInt8Array


def texture(seed: int, size_hw: tuple[int, int] = (40, 50)) -> UInt8Array:
    return np.random.default_rng(seed).integers(60, 190, (*size_hw, 3)).astype(np.uint8)


def ellipse(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.hypot(x - size / 2, y - size / 2) <= size / 2


def reference(
    canvas: UInt8Array, crop: UInt8Array, corner: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Equation 7 of Pérez et al. 2003, pixel by pixel, with dense matrices."""
    left, top = corner.tolist()
    height, width = canvas.shape[:2]
    padded = np.pad(crop.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    inside = [
        (y, x)
        for y in range(max(top, 0), min(top + mask.shape[0], height))
        for x in range(max(left, 0), min(left + mask.shape[1], width))
        if mask[y - top, x - left]
    ]
    number = {place: index for index, place in enumerate(inside)}
    matrix, right = np.zeros((len(inside),) * 2), np.zeros((len(inside), 3))
    for (y, x), row in number.items():
        for other in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= other[0] < height and 0 <= other[1] < width):
                continue
            matrix[row, row] += 1
            right[row] += padded[y - top + 1, x - left + 1]
            right[row] -= padded[other[0] - top + 1, other[1] - left + 1]
            if other in number:
                matrix[row, number[other]] -= 1
            else:
                right[row] += canvas[other]
    result = canvas.astype(float)
    for place, value in zip(inside, np.linalg.solve(matrix, right), strict=True):
        result[place] = value
    return np.rint(np.clip(result, 0, 255))


@pytest.mark.parametrize("corner", [(12, 9), (-4, 10), (44, -3), (0, 0)])
@pytest.mark.parametrize("whole", [False, True], ids=["ellipse", "box"])
def test_poisson_is_the_discrete_poisson_equation(corner: tuple[int, int], whole: bool) -> None:
    canvas, crop = texture(0), texture(1, (12, 12))
    mask = np.ones((12, 12), np.bool_) if whole else ellipse(12)
    wanted = reference(canvas, crop, np.array(corner), mask)
    paste_poisson(canvas, crop, np.array(corner), mask)
    assert np.abs(canvas - wanted).max() <= 1  # both are rounded


def test_poisson_takes_the_colours_around_and_keeps_a_small_object() -> None:
    """12 pixels, of which OpenCV's seamlessClone leaves nothing to see."""
    canvas = np.full((40, 50, 3), 170, np.uint8)
    crop = np.full((16, 16, 3), 200, np.uint8)
    crop[2:14, 2:14][ellipse(12)] = (60, 40, 120)
    before = canvas.copy()
    paste_poisson(canvas, crop, np.array([10, 10]), ellipse(16))
    assert canvas[18, 18].tolist() == [30, 10, 90]
    outside = np.ones(canvas.shape[:2], np.bool_)
    outside[10:26, 10:26] = ~ellipse(16)
    assert np.array_equal(canvas[outside], before[outside])
    assert (canvas[10:26, 10:26][ellipse(16) & ~np.pad(ellipse(12), 2)] == 170).all()


def test_poisson_over_all_of_the_canvas_is_the_crop() -> None:
    canvas, crop = texture(0), texture(1)
    paste_poisson(canvas, crop, np.array([0, 0]), np.ones((40, 50), np.bool_))
    assert np.array_equal(canvas, crop)


def test_nothing_is_pasted_by_an_empty_mask() -> None:
    canvas = texture(0)
    before = canvas.copy()
    paste_poisson(canvas, texture(1, (9, 9)), np.array([3, 3]), np.zeros((9, 9), np.bool_))
    paste(canvas, texture(1, (9, 9)), np.array([3, 3]), np.zeros((9, 9), np.float32))
    assert np.array_equal(canvas, before)


def test_paste_cuts_what_lies_outside() -> None:
    canvas, crop = texture(0), texture(1, (10, 10))
    before = canvas.copy()
    alpha = np.ones((10, 10), np.float32)
    alpha[:, 6:] = 0.5
    paste(canvas, crop, np.array([-4, 35]), alpha)
    assert np.array_equal(canvas[35:, :2], crop[:5, 4:6])
    half = (before[35:, 2:6].astype(float) + crop[:5, 6:]) / 2
    assert np.abs(canvas[35:, 2:6] - half).max() <= 0.5
    assert np.array_equal(canvas[:35], before[:35])
    assert np.array_equal(canvas[35:, 6:], before[35:, 6:])
