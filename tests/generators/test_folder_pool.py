"""One's own labelled images as a pool: in the run's classes and size, and nothing scored on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import CLASS_NAMES, write_dataset
from synthdata.config.pools import FolderPool
from synthdata.errors import DatasetError
from synthdata.files import sha256_file
from synthdata.formats.coco import save_coco
from synthdata.formats.voc import save_voc
from synthdata.formats.yolo import save_yolo
from synthdata.generators.folder import folder_fingerprints, read_folder_pool
from synthdata.samples import Annotations, DetectionDataset, Sample, Split

SAVERS = {"yolo": save_yolo, "coco": save_coco, "voc": save_voc}
SPLITS: tuple[Split, ...] = ("train", "train", "val", "test")


@pytest.fixture
def real(tmp_path: Path) -> DetectionDataset:
    """The run's images of 64x48 px: two of train, one each of val and test."""
    return in_splits(write_dataset(tmp_path / "real", num=4, prefix="real"))


def in_splits(dataset: DetectionDataset) -> DetectionDataset:
    samples = zip(dataset, SPLITS, strict=True)
    return replace(dataset, samples=tuple(replace(one, split=split) for one, split in samples))


def write_folder(
    root: Path, *, names: Sequence[str] = CLASS_NAMES, format_name: str = "yolo"
) -> DetectionDataset:
    """Write labelled images of 128x96 px in several splits, and return what they show.

    Args:
        root: The folder; what it is made from lies beside it.
        names: Its classes in its order; those of `CLASS_NAMES` are among them.
        format_name: How it is labelled.
    """
    made = write_dataset(root.with_name("made"), num=4, size=(128, 96), seed=9, prefix="scene")
    ids = np.array([names.index(name) for name in CLASS_NAMES])
    samples = tuple(
        replace(one, annotations=Annotations(one.annotations.xyxy, ids[one.annotations.class_id]))
        for one in in_splits(made)
    )
    SAVERS[format_name](replace(made, class_names=tuple(names), samples=samples), root)
    return made


def pool_of(folder: Path, **settings: Any) -> FolderPool:
    return FolderPool.model_validate(
        {"kind": "folder", "path": str(folder), "format": "yolo"} | settings
    )


def read(real: DetectionDataset, out_dir: Path, pool: FolderPool) -> list[Sample]:
    return read_folder_pool(
        "renders",
        pool,
        train=real.split("train"),
        held_out=real.split("val", "test"),
        out_dir=out_dir,
    )


def refused(real: DetectionDataset, out_dir: Path, pool: FolderPool) -> str:
    """Return why a pool is refused; nothing may be left of it."""
    with pytest.raises(DatasetError, match=r"^pools\.renders: ") as error:
        read(real, out_dir, pool)
    assert not out_dir.exists()
    return str(error.value)


@pytest.mark.parametrize("format_name", list(SAVERS))
def test_classes_are_found_by_name_and_images_get_the_runs_size(
    real: DetectionDataset, tmp_path: Path, format_name: str
) -> None:
    made = write_folder(
        tmp_path / "own", names=("Platelets", "RBC", "WBC"), format_name=format_name
    )

    samples = read(real, tmp_path / "out", pool_of(tmp_path / "own", format=format_name))

    assert [one.sample_id for one in samples] == [f"renders-scene-00{i}" for i in range(4)]
    for one, source in zip(samples, made, strict=True):
        assert (one.pool, one.origin, one.split) == ("renders", "provided", "train")
        assert one.annotations.class_id.tolist() == source.annotations.class_id.tolist()
        # VOC counts whole pixels of the larger image.
        np.testing.assert_allclose(one.annotations.xyxy, source.annotations.xyxy / 2, atol=0.51)
        file = tmp_path / "out" / one.path
        assert sha256_file(file) == one.sha256
        with Image.open(file) as image:
            assert (image.size, image.mode) == ((64, 48), "RGB") == ((one.width, one.height), "RGB")


def test_where_the_runs_sizes_differ_images_keep_theirs(
    real: DetectionDataset, tmp_path: Path
) -> None:
    made = write_folder(tmp_path / "own")
    first, second, *others = real.samples
    of_two_sizes = replace(real, samples=(first, replace(second, width=60), *others))

    samples = read(of_two_sizes, tmp_path / "out", pool_of(tmp_path / "own"))

    assert {(one.width, one.height) for one in samples} == {(128, 96)}
    np.testing.assert_allclose(
        samples[0].annotations.xyxy, made.samples[0].annotations.xyxy, atol=1e-3
    )


@pytest.mark.parametrize("split", ["val", "test"])
def test_an_image_that_detectors_are_scored_on_is_refused_by_name(
    real: DetectionDataset, tmp_path: Path, split: Split
) -> None:
    write_folder(tmp_path / "own")
    scored = real.split(split).samples[0]
    target = tmp_path / "own" / "images" / "train" / "scene-001.png"
    target.unlink()  # a link: the file that was linked stays as it is
    with Image.open(real.image_path(scored)) as image:
        image.resize((128, 96)).save(target.with_suffix(".jpg"), quality=70)

    message = refused(real, tmp_path / "out", pool_of(tmp_path / "own"))

    assert f"the same picture as {scored.sample_id} of {split}" in message
    assert "images/train/scene-001.jpg" in message


def test_an_image_of_train_may_be_there_and_one_may_be_there_twice(
    real: DetectionDataset, tmp_path: Path
) -> None:
    write_folder(tmp_path / "own")
    images = tmp_path / "own" / "images"
    (images / "test" / "scene-003.png").unlink()
    (images / "test" / "scene-003.png").hardlink_to(images / "train" / "scene-000.png")
    (images / "val" / "scene-002.png").unlink()
    (images / "val" / "scene-002.png").hardlink_to(real.image_path(real.samples[0]))

    samples = read(real, tmp_path / "out", pool_of(tmp_path / "own"))

    assert samples[3].sha256 == samples[0].sha256


def test_unknown_classes_are_refused_unless_ignored(real: DetectionDataset, tmp_path: Path) -> None:
    made = write_folder(tmp_path / "own")
    counts = np.sum([one.annotations.counts(3) for one in made], axis=0)
    yaml = tmp_path / "own" / "data.yaml"
    yaml.write_text(yaml.read_text().replace("WBC", "blast"))

    message = refused(real, tmp_path / "out", pool_of(tmp_path / "own"))

    assert f"classes RBC, WBC, Platelets, got also blast ({counts[1]} objects)" in message
    assert "ignore_classes" in message
    ignoring = pool_of(tmp_path / "own", ignore_classes=["blast"])
    samples = read(real, tmp_path / "out", ignoring)
    left = np.sum([one.annotations.counts(3) for one in samples], axis=0)
    assert left.tolist() == [counts[0], 0, counts[2]]


def test_a_folder_without_a_known_object_is_refused(real: DetectionDataset, tmp_path: Path) -> None:
    write_folder(tmp_path / "own")
    for label in (tmp_path / "own" / "labels").rglob("*.txt"):
        label.write_text("")
    assert "has none" in refused(real, tmp_path / "out", pool_of(tmp_path / "own"))


def test_errors_in_labels_are_named_with_their_file(
    real: DetectionDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_folder(tmp_path / "own")
    first, second = ((tmp_path / "own/labels/train" / f"scene-00{i}.txt") for i in range(2))
    first.write_text(first.read_text() + "0 0.5 0.5 1.5 0.2\n")

    message = refused(real, tmp_path / "out", pool_of(tmp_path / "own"))

    assert "labels/train/scene-000.txt:6: error: expected a box inside the image" in message
    assert "set `repair`" in message
    samples = read(real, tmp_path / "out", pool_of(tmp_path / "own", repair=True))
    assert len(samples[0].annotations) == 5
    assert "pool renders: dropped the box: labels/train/scene-000.txt:6" in caplog.text
    second.write_text("0 here there\n")  # no box at all: to be corrected by hand
    out_dir = tmp_path / "other"
    message = refused(real, out_dir, pool_of(tmp_path / "own", repair=True))
    assert "labels/train/scene-001.txt:1: error" in message


def test_a_folder_that_is_not_there_is_named_with_its_setting(
    real: DetectionDataset, tmp_path: Path
) -> None:
    pool = pool_of(tmp_path / "nowhere")
    assert "nowhere" in refused(real, tmp_path / "out", pool)
    with pytest.raises(DatasetError, match=r"nowhere is none; correct pools\.renders\.path"):
        folder_fingerprints({"renders": pool})
