import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from synthdata.errors import DatasetError
from synthdata.formats.coco import load_coco, save_coco
from synthdata.formats.located_json import parse_located
from synthdata.samples import DetectionDataset

MINIMAL = {
    "images": [{"id": 7, "file_name": "a.png", "width": 20, "height": 10}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 5, 6]}],
    "categories": [{"id": 9, "name": "nine"}, {"id": 3, "name": "three"}],
}


def write(root: Path, coco: object, name: str = "annotations.json") -> None:
    (root / "images").mkdir(exist_ok=True)
    (root / name).parent.mkdir(exist_ok=True)
    Image.new("RGB", (20, 10)).save(root / "images" / "a.png")
    (root / name).write_text(json.dumps(coco, indent=1), encoding="utf-8")


def test_class_ids_follow_the_order_of_category_ids(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    dataset = load_coco(tmp_path)
    assert dataset.class_names == ("three", "nine")
    assert dataset.samples[0].annotations.class_id.tolist() == [1]
    np.testing.assert_array_equal(dataset.samples[0].annotations.xyxy, [[1, 2, 6, 8]])


@pytest.mark.parametrize(
    ("name", "split"),
    [("train2017", "train"), ("val", "val"), ("test_dev", "test"), ("default", "train")],
)
def test_official_names_of_splits(tmp_path: Path, name: str, split: str) -> None:
    write(tmp_path, MINIMAL, f"annotations/instances_{name}.json")
    assert [sample.split for sample in load_coco(tmp_path)] == [split]


def test_crowds_are_left_out(tmp_path: Path) -> None:
    crowd = MINIMAL["annotations"][0] | {"id": 2, "iscrowd": 1}
    write(tmp_path, MINIMAL | {"annotations": [*MINIMAL["annotations"], crowd]})
    assert len(load_coco(tmp_path).samples[0].annotations) == 1


def test_pycocotools_reads_the_official_form(odd_dataset: DetectionDataset, tmp_path: Path) -> None:
    save_coco(odd_dataset, tmp_path / "out", official=True)
    coco = COCO(tmp_path / "out" / "annotations" / "instances_val.json")
    assert len(coco.getImgIds()) == 2
    assert len(coco.getAnnIds()) == sum(len(s.annotations) for s in odd_dataset.split("val"))
    for image in coco.loadImgs(coco.getImgIds()):
        assert (tmp_path / "out" / "val" / image["file_name"]).is_file()


def test_categories_must_agree_between_files(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL, "annotations/instances_train.json")
    other = MINIMAL | {"categories": [{"id": 9, "name": "neun"}], "images": [], "annotations": []}
    write(tmp_path, other, "annotations/instances_val.json")
    with pytest.raises(DatasetError, match="same categories in all files"):
        load_coco(tmp_path)


def test_lines_of_entries() -> None:
    found = parse_located('{"a": [1,\n 2, {"b":\n 3}\n, 4], "c": {"d": [1]}, "e": []}\n')
    assert found.values == {"a": [1, 2, {"b": 3}, 4], "c": {"d": [1]}, "e": []}
    assert found.lines == {"a": [1, 2, 2, 4], "e": []}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("[1]", 1, id="no object"),
        pytest.param('{"a": 1\n "b": 2}', 2, id="no comma"),
        pytest.param('{"a": [1\n\n 2]}', 3, id="no comma in an array"),
        pytest.param('{"a": [1,', 1, id="cut off"),
        pytest.param("{1: 2}", 1, id="no name"),
        pytest.param('{"a": 1}\n{}', 2, id="more behind it"),
        pytest.param("", 1, id="empty"),
    ],
)
def test_malformed_json_names_its_line(text: str, line: int) -> None:
    with pytest.raises(json.JSONDecodeError) as raised:
        parse_located(text)
    assert raised.value.lineno == line
