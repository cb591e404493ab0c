from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.errors import DatasetError
from synthdata.formats.voc import load_voc

LABEL = """<annotation>
  <filename>{filename}</filename>
  <size><width>{width}</width><height>20</height></size>
  <object>
    <name>{name}</name>
    <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11.5</xmax><ymax>20</ymax></bndbox>
    <part><name>hand</name><bndbox><xmin>99</xmin></bndbox></part>
  </object>
</annotation>
"""


def write(root: Path, stem: str, *, image: str = "", name: str = "cat", width: int = 30) -> None:
    image = image or f"{stem}.jpg"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20)).save(root / "JPEGImages" / image)
    text = LABEL.format(filename=image, name=name, width=width)
    (root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")


def test_boxes_are_pixel_edges_as_they_stand(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", name="ant", width=0)  # a size of 0 says nothing
    dataset = load_voc(tmp_path)
    assert dataset.class_names == ("ant", "cat")
    np.testing.assert_array_equal(dataset.samples[0].annotations.xyxy, [[1, 2, 11.5, 20]])
    assert dataset.samples[0].annotations.class_id.tolist() == [1]
    assert (
        load_voc(tmp_path, class_names=("cat", "dog", "ant")).samples[1].annotations.class_id == 2
    )


def test_lists_give_the_splits_and_leave_out_the_rest(tmp_path: Path) -> None:
    for stem in "abcde":
        write(tmp_path, stem)
    lists = {
        "train": "a\n",
        "val": "b 1\n",
        "trainval": "a\nb\nc\n",
        "test": "d\n",
        "cat_train": "e 1",
    }
    for name, text in lists.items():
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    assert [(s.sample_id, s.split) for s in load_voc(tmp_path)] == [
        ("a", "train"), ("b", "val"), ("c", "train"), ("d", "test"),
    ]  # fmt: skip


def test_filename_counts_where_no_image_has_the_labels_name(tmp_path: Path) -> None:
    write(tmp_path, "renamed", image="original photo.jpg")
    sample = load_voc(tmp_path).samples[0]
    assert sample.path == Path("JPEGImages/original photo.jpg")
    assert len(sample.annotations) == 1


def test_entities_are_not_expanded_and_nothing_is_read_through_them(tmp_path: Path) -> None:
    write(tmp_path, "a")
    secret = tmp_path / "secret.txt"
    secret.write_text("cat")
    label = tmp_path / "Annotations" / "a.xml"
    entity = f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "{secret.as_uri()}">]>\n'
    label.write_text(entity + LABEL.format(filename="a.jpg", name="&x;", width=30))
    with pytest.raises(DatasetError, match="expected one of the classes , got ''"):
        load_voc(tmp_path)
