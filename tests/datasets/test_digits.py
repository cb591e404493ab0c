from pathlib import Path

import numpy as np
import pytest

from synthdata.boxes import iou_matrix
from synthdata.config.sources import DigitsSource
from synthdata.datasets.check import check_dataset
from synthdata.datasets.digits import Scene, make_scene, write_digits
from synthdata.formats.coco import load_coco
from synthdata.samples import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture(scope="module")
def scenes() -> dict[Split, list[Scene]]:
    return {split: [make_scene(split, index) for index in range(40)] for split in SPLITS}


def test_scenes_are_as_promised(scenes: dict[Split, list[Scene]]) -> None:
    long_sides, nums, classes = [], set(), set()
    for scene in [scene for split in SPLITS for scene in scenes[split]]:
        xyxy, num = scene.annotations.xyxy, len(scene.annotations)
        assert scene.image.shape == (96, 128, 3)
        assert scene.image.dtype == np.uint8
        assert 2 <= num <= 7
        assert len(scene.scan_ids) == num
        assert (xyxy[:, :2] >= 0).all()
        assert (xyxy[:, 2:] <= (128, 96)).all()
        overlap = iou_matrix(xyxy, xyxy)
        np.fill_diagonal(overlap, 0)
        assert overlap.max() <= 0.03
        long_sides += (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1).tolist()
        nums.add(num)
        classes |= set(scene.annotations.class_id.tolist())
    assert min(long_sides) >= 18
    assert max(long_sides) <= 44
    assert nums == {2, 3, 4, 5, 6, 7}
    assert classes == {0, 1, 2}


def test_boxes_are_tight_around_the_ink(scenes: dict[Split, list[Scene]]) -> None:
    """Ink is darker than the paper beside it, in the outermost row and column of each side."""
    darker = []
    for scene in scenes["train"]:
        grey = scene.image.mean(axis=2)
        for x1, y1, x2, y2 in scene.annotations.xyxy.astype(int):
            inside = grey[y1:y2, x1:x2]
            edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
            paper = np.percentile(inside, 95)
            darker.append([paper - edge.min() for edge in edges])
    assert (np.median(darker, axis=0) > 25).all()
    assert (np.array(darker) > 6).mean() > 0.97


def test_splits_never_share_a_scan(scenes: dict[Split, list[Scene]]) -> None:
    used = [{scan for scene in scenes[split] for scan in scene.scan_ids} for split in SPLITS]
    assert all(len(scans) > 30 for scans in used)
    assert used[0].isdisjoint(used[1] | used[2])
    assert used[1].isdisjoint(used[2])
    other = make_scene("val", 0, dataset_seed=9)
    assert used[0].isdisjoint(other.scan_ids)


def test_a_scene_depends_on_its_arguments_only() -> None:
    first = make_scene("train", 5)
    make_scene("train", 6)
    again = make_scene("train", 5)
    np.testing.assert_array_equal(first.image, again.image)
    assert first.annotations == again.annotations
    others = [make_scene("val", 5), make_scene("train", 6), make_scene("train", 5, dataset_seed=1)]
    assert all((first.image != other.image).any() for other in others)


def test_classes_are_configurable() -> None:
    scenes = [make_scene("train", index, digits=(8, 1)) for index in range(10)]
    assert {int(c) for scene in scenes for c in scene.annotations.class_id} == {0, 1}


def test_the_written_data_set_is_sound_and_does_not_depend_on_its_size(tmp_path: Path) -> None:
    for number in (3, 5):
        source = DigitsSource(kind="digits", num_train=number, num_val=2, num_test=1)
        write_digits(source, tmp_path / str(number))
    errors = [p for p in check_dataset(tmp_path / "5", "coco") if p.level == "error"]
    assert errors == []
    dataset = load_coco(tmp_path / "5")
    assert dataset.class_names == ("0", "4", "7")
    assert [len(dataset.split(split)) for split in SPLITS] == [5, 2, 1]
    for image in sorted((tmp_path / "3" / "images").iterdir()):
        assert image.read_bytes() == (tmp_path / "5" / "images" / image.name).read_bytes()
