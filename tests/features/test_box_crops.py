import numpy as np
import pytest

from synthdata.boxes import as_xyxy
from synthdata.features.crops import CropSettings, square_crops


def test_a_crop_is_the_square_around_its_box() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 10:50] = [0, 200, 0]
    crop = square_crops(image, as_xyxy([[10, 20, 50, 40]]), CropSettings(size=48, margin=0.1))[0]
    # 40 pixels and a tenth on each side make 48: one to one, green in the middle rows.
    assert crop.shape == (48, 48, 3)
    assert crop.dtype == np.uint8
    np.testing.assert_array_equal(crop[14:34, 4:44], np.broadcast_to([0, 200, 0], (20, 40, 3)))
    assert (crop[:13] == 0).all()
    assert (crop[35:] == 0).all()


def test_the_border_is_repeated_outside_of_the_image() -> None:
    image = np.full((20, 20, 3), 90, np.uint8)
    boxes = as_xyxy([[0, 0, 8, 8], [10, 15, 20, 20], [0, 0, 20, 20]])
    for crop in square_crops(image, boxes, CropSettings(size=32, margin=0.5)):
        assert (crop == 90).all()


def test_a_box_beyond_the_image_and_a_point_give_crops() -> None:
    image = np.full((20, 20, 3), 90, np.uint8)
    crops = square_crops(
        image, as_xyxy([[15, 15, 40, 30], [5, 5, 5, 5]]), CropSettings(size=32, margin=0)
    )
    assert [crop.shape for crop in crops] == [(32, 32, 3)] * 2


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4))])
def test_no_box_no_crop(boxes: object) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    assert square_crops(image, as_xyxy(boxes), CropSettings(32, 0.2)) == []  # type: ignore[arg-type]
