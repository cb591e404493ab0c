import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_folders import MakeFolder, snapshot, write_blobs
from PIL import ExifTags, Image

from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import BccdSource, DigitsSource, FolderSource
from synthdata.datasets.prepare import prepare, source_fingerprint
from synthdata.errors import DatasetError
from synthdata.files import sha256_file
from synthdata.manifest import load_dataset
from synthdata.samples import Split

DIGITS = DigitsSource(kind="digits", num_train=12, num_val=4, num_test=3)


def section(source: Any, **values: Any) -> PrepareConfig:
    return PrepareConfig(source=source, **values)


def folder_source(path: Path, format_name: Any) -> FolderSource:
    return FolderSource(kind="folder", path=path, format=format_name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "digits", "digits": [4, 4]}, "digits must differ from each other"),
        ({"kind": "digits", "digits": []}, "at least 1 item"),
        ({"kind": "digits", "digits": [10]}, "less than or equal to 9"),
        (
            {"kind": "folder", "path": "x", "format": "voc", "val_fraction": 0.9},
            "must sum to less than 1, got 0.9 and 0.2",
        ),
    ],
)
def test_settings_that_can_not_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrepareConfig.model_validate({"source": values})


def test_digits_from_nothing_to_a_manifest(tmp_path: Path) -> None:
    config = section(DIGITS, train_images=4, ceiling_images=9, val_images=3, seed=1)
    out_dir = tmp_path / "out"
    metrics = prepare(config, raw_dir=tmp_path / "raw", out_dir=out_dir)
    dataset = load_dataset(out_dir)
    sizes = {"train": 4, "reserve": 5, "val": 3, "test": 3}
    for split, number in sizes.items():
        part = dataset.split(split)  # type: ignore[arg-type]
        assert len(part) == metrics["splits"][split]["images"] == number
        counts = sum(sample.annotations.counts(3) for sample in part)
        assert list(metrics["splits"][split]["objects"].values()) == np.array(counts).tolist()
    assert metrics["classes"] == ["0", "4", "7"]
    assert metrics["repairs"] == {}
    for sample in dataset:
        path = dataset.image_path(sample)
        assert path == out_dir / "images" / f"{sample.sample_id}.png"
        assert sha256_file(path) == sample.sha256
        assert sample.origin == "real"
    assert sorted(p.name for p in out_dir.iterdir()) == [
        "annotations.json", "images", "manifest.parquet",
    ]  # fmt: skip


def test_the_seed_changes_the_draw_and_nothing_else(tmp_path: Path) -> None:
    found: list[dict[Split, set[str]]] = []
    for run, seed in enumerate((0, 0, 1)):
        config = section(DIGITS, train_images=4, val_images=2, seed=seed)
        prepare(config, raw_dir=tmp_path / "raw", out_dir=tmp_path / str(run))
        dataset = load_dataset(tmp_path / str(run))
        names: tuple[Split, ...] = ("train", "reserve", "val", "test")
        found.append({name: {s.sha256 for s in dataset.split(name)} for name in names})
    assert found[0] == found[1]
    assert found[0]["train"] != found[2]["train"]
    assert found[0]["val"] == found[2]["val"]
    assert found[0]["test"] == found[2]["test"]
    assert len(found[0]["reserve"]) == 8


def test_doing_it_again_leaves_no_stale_image(tmp_path: Path) -> None:
    for number in (6, 4):
        config = section(DIGITS, train_images=number, ceiling_images=number)
        prepare(config, raw_dir=tmp_path / "raw", out_dir=tmp_path / "out")
    assert len(list((tmp_path / "out" / "images").iterdir())) == 4 + 4 + 3


@pytest.mark.parametrize("format_name", ["yolo", "coco", "voc"])
def test_resizing_moves_the_boxes_along(
    make_folder: MakeFolder, tmp_path: Path, format_name: str
) -> None:
    source = folder_source(make_folder(format_name), format_name)
    metrics = prepare(
        section(source, image_size=(32, 48)), raw_dir=tmp_path, out_dir=tmp_path / "out"
    )
    dataset = load_dataset(tmp_path / "out")
    assert metrics["image_size"] == (32, 48)
    assert dataset.class_names == ("cat", "dog")
    first = next(sample for sample in dataset if sample.sample_id == "img-0")
    np.testing.assert_allclose(first.annotations.xyxy, [[2, 6, 10, 30], [15, 8, 25, 40]], atol=1e-4)
    with Image.open(dataset.image_path(first)) as image:
        assert image.size == (32, 48)


def test_boxes_that_resizing_makes_invisible_are_counted(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    source = folder_source(make_folder("coco"), "coco")
    metrics = prepare(
        section(source, image_size=(4, 48), min_instances=0),
        raw_dir=tmp_path,
        out_dir=tmp_path / "out",
    )
    kept = sum(sum(split["objects"].values()) for split in metrics["splits"].values())
    assert metrics["objects_lost_by_resizing"] == 16 - kept == 8


def test_repair_drops_bad_boxes_and_counts_them(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder("yolo")
    label = folder / "labels" / "train" / "img-0.txt"
    good = label.read_text()
    label.write_text("0 0.5 0.5 3 0.1\n" + good + "1 nan 0.5 0.1 0.1\n1 0.5 0.5 0 0\n")
    source = folder_source(folder, "yolo")
    with pytest.raises(DatasetError, match="has 3 errors"):
        prepare(section(source), raw_dir=tmp_path, out_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    metrics = prepare(section(source, repair=True), raw_dir=tmp_path, out_dir=tmp_path / "out")
    assert metrics["repairs"] == {"box_outside": 1, "box_not_finite": 1, "box_too_small": 1}
    first = next(s for s in load_dataset(tmp_path / "out") if s.sample_id == "img-0")
    np.testing.assert_allclose(first.annotations.xyxy, [[4, 6, 20, 30], [30, 8, 50, 40]], atol=1e-4)


def test_repair_is_for_boxes_only(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder("yolo")
    (folder / "images" / "train" / "img-0.png").write_bytes(b"no image")
    source = folder_source(folder, "yolo")
    before = snapshot(tmp_path)
    with pytest.raises(DatasetError, match="image_unreadable"):
        prepare(section(source, repair=True), raw_dir=tmp_path, out_dir=tmp_path / "out")
    assert snapshot(tmp_path) == before


def test_a_split_that_can_score_nothing_is_refused_and_a_missing_class_warned_of(
    make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder("yolo")
    labels = list((folder / "labels" / "val").glob("*.txt"))
    for label in labels:
        label.write_text("0 0.5 0.5 0.1 0.1\n")
    config = section(folder_source(folder, "yolo"))

    prepare(config, raw_dir=tmp_path, out_dir=tmp_path / "out")

    assert "val has no object of dog: mAP leaves it out" in caplog.text
    for label in labels:
        label.write_text("")
    with pytest.raises(DatasetError, match="val has 2 images and no object.*split_seed"):
        prepare(config, raw_dir=tmp_path, out_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_message_is_short_when_there_is_much_wrong(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder("yolo")
    (folder / "labels" / "train" / "img-0.txt").write_text("9 0.5 0.5 0.1 0.1\n" * 70)
    with pytest.raises(DatasetError) as raised:
        prepare(section(folder_source(folder, "yolo")), raw_dir=tmp_path, out_dir=tmp_path / "out")
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("has 70 errors:")
    assert lines[-1] == "  ... and 50 more; `synthdata data check` lists all"
    assert len(lines) == 22


def test_odd_files_of_a_folder_without_splits(tmp_path: Path) -> None:
    """Names, suffixes, kinds of pixels and orientations as users have them."""
    root = tmp_path / "my data"
    for number in range(9):
        write_blobs(root / "images" / "deep" / f"n{number}.png", seed=number)
    names = ["grey 1.PNG", "größe 東京.JPG", "deep/clear.png", "palette.png", "turned.jpg",
             "other/n0.png", "long.tif"]  # fmt: skip
    for number, name in enumerate(names):
        write_blobs(root / "images" / name, seed=50 + number)
    images = root / "images"
    Image.open(images / "grey 1.PNG").convert("L").save(images / "grey 1.PNG")
    Image.open(images / "deep/clear.png").convert("RGBA").save(images / "deep/clear.png")
    Image.open(images / "palette.png").quantize(16).save(images / "palette.png")
    grey = np.asarray(Image.open(images / "long.tif").convert("L")).astype(np.uint16) << 8
    Image.fromarray(grey).save(images / "long.tif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(images / "turned.jpg").save(images / "turned.jpg", exif=exif)
    for path in images.rglob("*.*"):
        label = root / "labels" / path.relative_to(images).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.5 0.25\n")
    (root / "data.yaml").write_text("train: images\nnames: [thing]\n")
    metrics = prepare(
        section(folder_source(root, "yolo")), raw_dir=tmp_path, out_dir=tmp_path / "out"
    )
    assert {name: part["images"] for name, part in metrics["splits"].items()} == {
        "train": 10, "reserve": 0, "val": 3, "test": 3,
    }  # fmt: skip
    by_id = {sample.sample_id: sample for sample in load_dataset(tmp_path / "out")}
    assert len(by_id) == 16
    assert {"grey_1", "größe_東京", "clear", "turned", "long"} <= set(by_id)
    assert sum(name.startswith("n0-") for name in by_id) == 2
    turned = by_id["turned"]
    assert (turned.width, turned.height) == (48, 64)
    np.testing.assert_allclose(turned.annotations.xyxy, [[12, 24, 36, 40]], atol=1e-4)
    for path in (tmp_path / "out" / "images").iterdir():
        with Image.open(path) as image:
            assert image.mode == "RGB"


def test_look_alikes_of_a_folder_without_splits_stay_together(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "labels").mkdir(parents=True)
    for number in range(12):
        write_blobs(root / "images" / f"a{number}.png", seed=number)
        for name in "ab":
            (root / "labels" / f"{name}{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        with Image.open(root / "images" / f"a{number}.png") as image:
            image.save(root / "images" / f"b{number}.jpg", quality=70)
    (root / "data.yaml").write_text("train: images\nnames: [thing]\n")
    for split_seed in range(3):
        source = folder_source(root, "yolo").model_copy(update={"split_seed": split_seed})
        out_dir = tmp_path / str(split_seed)
        prepare(section(source, min_instances=0), raw_dir=tmp_path, out_dir=out_dir)
        split = {sample.sample_id: sample.split for sample in load_dataset(out_dir)}
        assert all(split[f"a{number}"] == split[f"b{number}"] for number in range(12))
        assert set(split.values()) == {"train", "val", "test"}


def test_bccd_passes_the_check_but_for_its_two_boxes(
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SYNTHDATA_MIRROR", str(mirror))
    config = section(
        BccdSource(kind="bccd"), image_size=(192, 144), train_images=24, min_instances=10,
        ceiling_images=24, val_images=10, test_images=10, repair=True,
    )  # fmt: skip
    metrics = prepare(config, raw_dir=tmp_path / "raw", out_dir=tmp_path / "out")
    assert metrics["classes"] == ["RBC", "WBC", "Platelets"]
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [
        message[: message.index(" expected" if "expected" in message else " this")]
        for message in found
    ] == [
        "dropped the box: Annotations/BloodImage_00338.xml:158: error:",
        "dropped the box: Annotations/BloodImage_00343.xml:50: error:",
        # One field photographed twice, at different focus: 37 is in val, 38 in train.
        "JPEGImages/BloodImage_00038.jpg: warning:",
    ]
    assert metrics["repairs"] == {"box_too_small": 2}
    assert metrics["warnings"] == {"alike_across_splits": 1}
    assert min(metrics["splits"]["train"]["objects"].values()) >= 10
    assert [part["images"] for part in metrics["splits"].values()] == [24, 0, 10, 10]


def test_the_fingerprint_follows_the_data(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder("yolo")
    config = section(folder_source(folder, "yolo"))
    first = source_fingerprint(config, tmp_path)
    os.utime(folder / "data.yaml", (0, 0))
    (folder / ".DS_Store").touch()
    assert source_fingerprint(config, tmp_path) == first
    label = folder / "labels" / "train" / "img-0.txt"
    label.write_text(label.read_text() + "\n")
    second = source_fingerprint(config, tmp_path)
    label.rename(label.with_name("img-9.txt"))
    assert len({first, second, source_fingerprint(config, tmp_path)}) == 3
    with pytest.raises(DatasetError, match=r"correct prepare\.source\.path"):
        source_fingerprint(section(folder_source(tmp_path / "none", "yolo")), tmp_path)


def test_fetched_data_needs_not_be_there_for_its_fingerprint(tmp_path: Path) -> None:
    config = section(BccdSource(kind="bccd"))
    expected = source_fingerprint(config, tmp_path)
    (tmp_path / "bccd" / "Annotations").mkdir(parents=True)
    (tmp_path / "bccd" / "Annotations" / "a.xml").write_text("changed")
    assert source_fingerprint(config, tmp_path) != expected
    other = DIGITS.model_copy(update={"digits": (1, 2)})
    assert source_fingerprint(section(DIGITS), tmp_path) != source_fingerprint(
        section(other), tmp_path
    )
