import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from synthdata.boxes import iou_matrix
from synthdata.config.sources import DigitsSource, InkName, PaperName
from synthdata.datasets.check import check_dataset
from synthdata.datasets.digits import Scene, digits_key, make_scene, write_digits
from synthdata.formats.coco import load_coco
from synthdata.samples import Split

OFFICE: PaperName = "office"
KRAFT: PaperName = "kraft"
PEN: InkName = "pen"
PENCIL: InkName = "pencil"
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


@pytest.mark.parametrize(("paper", "ink"), [("kraft", "pen"), ("office", "pencil")])
def test_another_look_is_another_scene_of_held_out_scans(paper: PaperName, ink: InkName) -> None:
    train = {scan for index in range(40) for scan in make_scene("train", index).scan_ids}
    plain = [make_scene("test", index) for index in range(12)]
    other = [make_scene("test", index, paper=paper, ink=ink) for index in range(12)]
    assert train.isdisjoint(scan for scene in other for scan in scene.scan_ids)
    assert all(a.annotations != b.annotations for a, b in zip(plain, other, strict=True))


def test_kraft_is_darker_and_browner() -> None:
    """Most sheets of it are outside what nine in ten office sheets are."""
    office, kraft = (
        np.array([make_scene("test", i, paper=p).image.mean((0, 1)) for i in range(20)])
        for p in (OFFICE, KRAFT)
    )
    assert np.median(kraft.mean(1)) < np.percentile(office.mean(1), 10)
    assert np.median(kraft[:, 0] - kraft[:, 2]) > np.percentile(office[:, 0] - office[:, 2], 90)


def test_a_pencil_is_fainter_and_grey() -> None:
    pen, pencil = (
        np.vstack([ink_over_paper(make_scene("test", i, ink=ink)) for i in range(20)])
        for ink in (PEN, PENCIL)
    )
    assert np.median(pencil.mean(1)) > 1.1 * np.median(pen.mean(1))
    assert np.median(np.ptp(pencil, axis=1)) < 0.3 * np.median(np.ptp(pen, axis=1))


def ink_over_paper(scene: Scene) -> npt.NDArray[np.float64]:
    """Return the `(N, 3)` colour of each object's darkest fifth over its lightest fifth."""
    ratios = []
    for x1, y1, x2, y2 in scene.annotations.xyxy.astype(int):
        pixels = scene.image[y1:y2, x1:x2].reshape(-1, 3).astype(np.float64)
        pixels = pixels[np.argsort(pixels.mean(1))]
        fifth = len(pixels) // 5
        ratios.append(pixels[:fifth].mean(0) / pixels[-fifth:].mean(0))
    return np.array(ratios)


def test_the_default_look_is_the_one_before_there_were_others() -> None:
    """A digest from before: runs stay comparable, and scenes in `data/raw` are found again."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for index in range(4):
            scene = make_scene(split, index)
            digest.update(scene.image.tobytes() + scene.annotations.xyxy.tobytes())
    assert digest.hexdigest()[:16] == "3669120c11f88a16"
    assert digits_key(DigitsSource(kind="digits"))[:12] == "4bcccc2b1604"
    assert digits_key(DigitsSource(kind="digits", ink="pencil"))[:12] != "4bcccc2b1604"


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
