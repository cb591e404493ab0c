from collections import Counter
from itertools import islice

import numpy as np
import pytest

from synthdata.generators.donors import Donor, draw_objects
from synthdata.generators.opacity import background_opacity, blend, object_opacity
from synthdata.generators.placement import find_room, place_objects
from synthdata.layout.geometry import overlap_matrix
from synthdata.samples import Annotations, Layout

NOTHING = np.zeros((0, 4), np.float32)


def layout(
    xyxy: list[list[float]], class_id: list[int], *, width: int = 100, height: int = 80
) -> Layout:
    return Layout("layout", width, height, Annotations(xyxy, class_id))


@pytest.mark.parametrize("max_overlap", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(10))
def test_new_boxes_keep_class_and_size_and_hardly_overlap(max_overlap: float, seed: int) -> None:
    wanted = layout([[20, 20, 40, 30], [50, 50, 62, 70], [30, 30, 38, 38]], [0, 1, 2])
    there = layout([[0, 0, 50, 80], [60, 0, 80, 40]], [0, 0])

    new = place_objects(
        wanted, there, num_objects=3, max_overlap=max_overlap, rng=np.random.default_rng(seed)
    )

    assert len(new) == 3
    size_of_class = {0: [20, 10], 1: [12, 20], 2: [8, 8]}
    for box, class_id in zip(new.xyxy, new.class_id.tolist(), strict=True):
        assert (box[2:] - box[:2]).tolist() == size_of_class.pop(class_id)
    assert (new.xyxy >= 0).all()
    assert (new.xyxy <= [100, 80, 100, 80]).all()
    every = np.vstack([there.annotations.xyxy, new.xyxy])
    overlap = overlap_matrix(every, every)[2:]
    overlap[np.arange(3), np.arange(3) + 2] = 0
    assert overlap.max() <= max_overlap + 1e-6


def test_the_number_wanted_is_never_exceeded_and_no_room_gives_none() -> None:
    wanted = layout([[20, 20, 30, 30]] * 5, [0] * 5)
    rng = np.random.default_rng(0)

    assert len(place_objects(wanted, layout([], []), num_objects=2, max_overlap=0, rng=rng)) == 2
    full = layout([[0, 0, 100, 80]], [0])
    assert len(place_objects(wanted, full, num_objects=2, max_overlap=0, rng=rng)) == 0
    assert len(place_objects(layout([], []), full, num_objects=2, max_overlap=0, rng=rng)) == 0


def test_objects_that_a_border_cuts_are_taken_only_where_there_are_no_others() -> None:
    rng = np.random.default_rng(0)
    free = layout([], [])
    both = layout([[0, 20, 5, 40], [50, 50, 60, 60]], [0, 1])

    new = place_objects(both, free, num_objects=2, max_overlap=0, rng=rng)

    assert new.class_id.tolist() == [1]
    cut = layout([[0, 20, 5, 40]], [0])
    assert len(place_objects(cut, free, num_objects=2, max_overlap=0, rng=rng)) == 1


def test_a_layout_on_another_canvas_is_scaled() -> None:
    wanted = layout([[20, 20, 40, 40]], [0])
    large = layout([], [], width=200, height=40)

    new = place_objects(wanted, large, num_objects=1, max_overlap=0, rng=np.random.default_rng(0))

    assert (new.xyxy[0, 2:] - new.xyxy[0, :2]).tolist() == [40, 10]


def test_what_is_larger_than_the_image_has_no_room() -> None:
    inner = np.array([0, 0, 20, 20], np.float32)
    rng = np.random.default_rng(0)

    assert find_room(inner, NOTHING, (19, 40), max_overlap=1, rng=rng) is None
    corner = find_room(inner, NOTHING, (20, 20), max_overlap=1, rng=rng)
    assert corner is not None
    assert corner.tolist() == [0, 0]


def test_object_opacity_covers_new_boxes_and_spares_kept_ones() -> None:
    new = np.array([[20, 20, 40, 40]], np.float32)
    kept = np.array([[41, 10, 60, 60], [35, 36, 50, 50]], np.float32)

    opacity = object_opacity(new, kept, size_hw=(80, 100), margin=0.2, feather=0.2)

    assert (opacity[20:40, 20:40] == 1).all()
    assert (opacity[16:44, 16:35] == 1).all()
    assert (opacity[10:60, 41:60] == 0).all()
    assert (opacity[40:50, 35:50] == 0).all()
    row = opacity[30, :20]
    assert ((row > 0) & (row < 1)).any()
    assert (np.diff(row) >= 0).all()
    assert not opacity[:10].any()
    nothing = object_opacity(NOTHING, kept, size_hw=(80, 100), margin=0.2, feather=0.2)
    assert not nothing.any()


def test_background_opacity_spares_boxes_and_their_margins() -> None:
    kept = np.array([[20, 20, 40, 40], [70, 70, 70, 70]], np.float32)

    opacity = background_opacity(kept, size_hw=(80, 100), margin=0.1, feather=0.2)

    assert (opacity[18:42, 18:42] == 0).all()
    assert (opacity[:14] == 1).all()
    assert 0 < opacity[17, 30] < 1
    everything = background_opacity(NOTHING, size_hw=(8, 8), margin=0.1, feather=0.2)
    assert (everything == 1).all()


def test_blend_is_exact_where_the_opacity_is_0_or_1() -> None:
    rng = np.random.default_rng(0)
    real, painted = rng.integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    opacity = np.zeros((16, 16), np.float32)
    opacity[4:8] = 0.5
    opacity[8:] = 1

    mixed = blend(real, painted, opacity)

    assert np.array_equal(mixed[:4], real[:4])
    assert np.array_equal(mixed[8:], painted[8:])
    assert np.abs(mixed[4:8] - (real[4:8] / 2 + painted[4:8] / 2)).max() <= 0.5


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_objects_are_drawn_with_the_balance_of_pasted_ones(balance: float, share: float) -> None:
    common = [Donor(0, i, 0, (0.0, 0.0, 10.0 + i, 8.0)) for i in range(9)]
    donors = {0: common, 2: [Donor(0, 9, 2, (5.0, 5.0, 9.0, 11.0))]}

    drawn = list(islice(draw_objects(donors, balance, np.random.default_rng(0)), 4000))

    assert Counter(one for _, one in drawn)[2] / 4000 == pytest.approx(share, abs=0.03)
    sizes = {class_id: {tuple(size.tolist()) for size, one in drawn if one == class_id}
             for class_id in (0, 2)}  # fmt: skip
    assert sizes == {0: {(10.0 + i, 8.0) for i in range(9)}, 2: {(4.0, 6.0)}}
