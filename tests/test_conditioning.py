import numpy as np
import pytest

from synthdata.conditioning import control_map, control_picture, prompt_for
from synthdata.errors import GenerationError
from synthdata.samples import Annotations, Layout

NAMES = ("RBC", "WBC", "Platelets")
TEMPLATE = "a blood smear with {objects}"


def layout_of(boxes: list[list[float]], class_id: list[int]) -> Layout:
    return Layout("one", 64, 48, Annotations(xyxy=np.array(boxes), class_id=np.array(class_id)))


def test_control_map_has_a_soft_ellipse_in_its_class_channel_and_its_outline() -> None:
    control = control_map(layout_of([[10, 8, 30, 28]], [1]), 3)

    assert control.shape == (4, 48, 64)
    assert control.dtype == np.float32
    assert control.min() == 0
    assert control.max() <= 1
    assert not control[[0, 2]].any()
    assert control[1, 17:19, 19:21] == pytest.approx(1)
    assert 0 < control[1, 18, 11] < 0.5, "fades towards the border"
    assert control[1, 9, 11] == 0, "the box's corner is outside the ellipse"
    assert control[3, 18, 10] > 0.8, "outline at the left end of the ellipse"
    assert control[3, 18, 20] == pytest.approx(0, abs=1e-6), "no outline in the middle"


def test_touching_objects_keep_an_outline_between_them() -> None:
    control = control_map(layout_of([[8, 10, 24, 26], [24, 10, 40, 26]], [0, 0]), 3)

    assert control[3, 18, 23:25].min() > 0.8


def test_boxes_beyond_the_canvas_are_cut_not_moved() -> None:
    control = control_map(layout_of([[-10, -10, 10, 10], [60, 40, 80, 60]], [0, 2]), 3)

    assert control[0, 0, 0] == pytest.approx(1)
    assert control[2, 47, 63] > 0
    assert not control[:, 20:30, 25:40].any()


def test_an_empty_layout_gives_an_empty_map_and_picture() -> None:
    layout = Layout("none", 16, 8, Annotations.empty())

    assert not control_map(layout, 3).any()
    assert not control_picture(layout, 3).any()


def test_control_picture_colours_classes_apart() -> None:
    picture = control_picture(layout_of([[4, 4, 20, 20], [40, 20, 60, 40]], [0, 1]), 3)

    assert picture.shape == (3, 48, 64)
    assert picture.max() <= 1
    assert np.abs(picture[:, 12, 12] - picture[:, 30, 50]).max() > 0.5


def test_objects_that_overlap_do_not_mix_to_a_third_colour() -> None:
    box = [8.0, 8.0, 40.0, 40.0]
    both = control_picture(layout_of([box, [box[0] + 4, *box[1:]]], [0, 2]), 6)
    own = [control_picture(layout_of([box], [i]), 6) for i in range(6)]
    hues = np.stack([one[:, 24, 24] / one[:, 24, 24].max() for one in own])

    shown = both[:, 22:27, 16:36].reshape(3, -1).T  # no outline there
    nearest = np.abs(shown[:, None] / shown.max(axis=1)[:, None, None] - hues).sum(axis=2)

    assert set(nearest.argmin(axis=1).tolist()) == {0, 2}
    assert nearest.min(axis=1).max() < 0.01


def test_a_class_without_channel_is_an_error() -> None:
    with pytest.raises(GenerationError, match=r"'one' has class id 3, but there are 3 classes"):
        control_map(layout_of([[4, 4, 20, 20]], [3]), 3)


@pytest.mark.parametrize(
    ("class_id", "text"),
    [
        pytest.param([], "a blood smear with no objects", id="none"),
        pytest.param([1], "a blood smear with 1 WBC", id="one class"),
        pytest.param([2, 0, 0], "a blood smear with 2 RBC and 1 Platelets", id="two"),
        pytest.param(
            [0] * 12 + [1, 2, 2], "a blood smear with 12 RBC, 1 WBC and 2 Platelets", id="three"
        ),
    ],
)
def test_prompt_counts_the_objects(class_id: list[int], text: str) -> None:
    layout = layout_of([[1, 1, 9, 9]] * len(class_id), class_id)

    assert prompt_for(layout, NAMES, TEMPLATE) == text
