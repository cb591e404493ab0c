from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from synthdata.errors import DatasetError
from synthdata.formats.yolo import load_yolo, save_yolo
from synthdata.samples import DetectionDataset


def write_image(path: Path, size: tuple[int, int] = (100, 50)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_data_yaml_can_be_moved_and_downloads_nothing(
    odd_dataset: DetectionDataset, tmp_path: Path
) -> None:
    save_yolo(odd_dataset, tmp_path / "out")
    config = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text("utf-8"))
    assert config == {
        "train": "images/train",
        "reserve": "images/reserve",
        "val": "images/val",
        "test": "images/test",
        "names": {0: "zebra", 1: "rote Blutkörper", 2: "a"},
    }


def test_train_and_val_are_always_named(odd_dataset: DetectionDataset, tmp_path: Path) -> None:
    save_yolo(odd_dataset.split("test"), tmp_path / "out")
    config = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text("utf-8"))
    assert set(config) == {"train", "val", "test", "names"}
    assert (tmp_path / "out" / "images" / "train").is_dir()


def test_roboflow_folders_and_lists_of_names(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "images" / "a.JPG")
    write_text(tmp_path / "train" / "labels" / "a.txt", "1 0.5 0.5 0.2 0.4\n\n")
    write_image(tmp_path / "valid" / "images" / "b.png")
    write_text(
        tmp_path / "data.yaml", "train: train/images\nval: valid/images\nnc: 2\nnames: [x, y]\n"
    )
    dataset = load_yolo(tmp_path)
    train, val = dataset.samples
    assert (train.sample_id, train.split, val.split) == ("a", "train", "val")
    np.testing.assert_allclose(train.annotations.xyxy, [[40, 15, 60, 35]], atol=1e-4)
    assert train.annotations.class_id.tolist() == [1]
    assert len(val.annotations) == 0


def test_lists_of_images_may_repeat_them(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.png")
        write_text(tmp_path / "labels" / f"{name}.txt", "0 0.5 0.5 0.2 0.4\n")
    write_text(tmp_path / "train.txt", "images/a.png\n./images/b.png\nimages/a.png\n")
    write_text(tmp_path / "val.txt", "images/c.png\n")
    write_text(tmp_path / "data.yaml", "train: [train.txt]\nval: val.txt\nnames: {0: x}\n")
    found = load_yolo(tmp_path)
    assert [(s.sample_id, s.split) for s in found] == [
        ("a", "train"), ("b", "train"), ("c", "val"),
    ]  # fmt: skip


def test_rounding_over_the_edge_is_cut(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.png", (1000, 500))
    write_text(tmp_path / "labels" / "train" / "a.txt", "0 0.9 0.5 0.2002 0.4\n")
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/train\nnames: [x]\n")
    write_image(tmp_path / "images" / "val" / "b.png", (1000, 500))
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: [x]\n")
    assert load_yolo(tmp_path).samples[0].annotations.xyxy[0, 2] == 1000


def test_the_loader_raises_with_all_errors(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.png")
    write_text(tmp_path / "labels" / "train" / "a.txt", "7 0.5 0.5 0.2 0.4\n0 nan 0.5 0.2 0.4\n")
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: [x]\n")
    with pytest.raises(DatasetError) as raised:
        load_yolo(tmp_path)
    message = str(raised.value)
    assert "has 3 errors" in message
    assert "labels/train/a.txt:1: error: expected a class id from 0 to 0, got 7" in message
    assert "labels/train/a.txt:2: error: expected a box of finite numbers" in message
    assert "data.yaml: error: expected val to name a folder of images, got 'images/val'" in message
