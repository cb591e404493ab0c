import numpy as np
import pytest

from synthdata import boxes

A = boxes.as_xyxy([[0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 20, 30]])


def test_an_empty_list_is_no_boxes() -> None:
    assert boxes.as_xyxy([]).shape == (0, 4)


@pytest.mark.parametrize("bad", [[1, 2, 3, 4], [[1, 2, 3]], [[[1, 2, 3, 4]]]])
def test_other_shapes_are_refused(bad: list[object]) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(N, 4\)"):
        boxes.as_xyxy(bad)  # type: ignore[arg-type]


def test_iou_matrix_against_a_pixel_count() -> None:
    def mask(box: np.ndarray) -> np.ndarray:
        grid = np.zeros((40, 40), bool)
        x1, y1, x2, y2 = box.astype(int)
        grid[y1:y2, x1:x2] = True
        return grid

    rng = np.random.default_rng(0)
    corner = rng.integers(0, 20, (12, 2))
    some = boxes.as_xyxy(np.hstack([corner, corner + rng.integers(0, 20, (12, 2))]))
    expected = np.zeros((12, 12), np.float32)
    for i, a in enumerate(some):
        for j, b in enumerate(some):
            union = (mask(a) | mask(b)).sum()
            expected[i, j] = (mask(a) & mask(b)).sum() / union if union else 0
    np.testing.assert_allclose(boxes.iou_matrix(some, some), expected, rtol=1e-6)


def test_iou_of_empty_boxes_is_zero_without_a_warning() -> None:
    assert boxes.iou_matrix(A[2:], A[2:]) == 0
    assert boxes.iou_matrix(A[:0], A).shape == (0, 3)


def test_area_of_an_inverted_box_is_zero() -> None:
    np.testing.assert_array_equal(boxes.area(boxes.as_xyxy([[4, 0, 2, 5], [0, 0, 2, 5]])), [0, 10])


def test_clip_and_scale() -> None:
    clipped = boxes.clip(boxes.as_xyxy([[-3, 2, 50, 60]]), width=40, height=30)
    np.testing.assert_array_equal(clipped, [[0, 2, 40, 30]])
    scaled = boxes.scale(clipped, factor_x=0.5, factor_y=2)
    np.testing.assert_array_equal(scaled, [[0, 4, 20, 60]])


def test_conversions_go_back() -> None:
    np.testing.assert_allclose(boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(A)), A)
    cxcywh = boxes.xyxy_to_cxcywh(A, width=40, height=30)
    np.testing.assert_allclose(cxcywh[0], [5 / 40, 5 / 30, 10 / 40, 10 / 30])
    np.testing.assert_allclose(boxes.cxcywh_to_xyxy(cxcywh, width=40, height=30), A, rtol=1e-6)
