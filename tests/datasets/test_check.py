"""Every malformed input: the message, and that nothing is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_folders import MakeFolder, snapshot, write_blobs, write_png_header
from PIL import Image
from typer.testing import CliRunner

from synthdata.cli import app
from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import FolderSource
from synthdata.datasets.check import check_dataset
from synthdata.datasets.prepare import prepare
from synthdata.errors import DatasetError
from synthdata.formats.records import errors_in

FORMATS = ["yolo", "coco", "voc"]
IMAGE = {
    "yolo": "images/train/img-0.png", "coco": "images/img-0.png", "voc": "JPEGImages/img-0.png",
}  # fmt: skip
LABEL = {
    "yolo": "labels/train/img-0.txt", "coco": "annotations.json", "voc": "Annotations/img-0.xml",
}  # fmt: skip
# The line of img-0's first box as the savers write it.
LINE = {"yolo": 1, "coco": 3, "voc": 9}
Break = Callable[[Path], object]


def set_box(folder: Path, xyxy: tuple[float, float, float, float]) -> None:
    """Overwrite the first box of img-0, (4, 6, 20, 30) of 64x48, in whatever format."""
    x1, y1, x2, y2 = xyxy
    if (folder / "data.yaml").exists():
        values = ((x1 + x2) / 128, (y1 + y2) / 96, (x2 - x1) / 64, (y2 - y1) / 48)
        replace_line(folder / LABEL["yolo"], 1, "0 " + " ".join(map(str, values)))
    elif (folder / "annotations.json").exists():
        edit_json(folder, lambda c: c["annotations"][0].update(bbox=[x1, y1, x2 - x1, y2 - y1]))
    else:
        path = folder / LABEL["voc"]
        text = path.read_text()
        for tag, old, new in zip(
            ("xmin", "ymin", "xmax", "ymax"), (4, 6, 20, 30), xyxy, strict=True
        ):
            text = text.replace(f"<{tag}>{old}<", f"<{tag}>{new}<", 1)
        path.write_text(text)


def set_class(folder: Path) -> None:
    if (folder / "data.yaml").exists():
        replace_line(folder / LABEL["yolo"], 1, "2 0.2 0.4 0.2 0.4")
    elif (folder / "annotations.json").exists():
        edit_json(folder, lambda c: c["annotations"][0].update(category_id=3))
    else:
        path = folder / LABEL["voc"]
        path.write_text(path.read_text().replace("<name>cat<", "<name>cow<"))


def replace_line(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


def edit_json(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change annotations.json, one entry a line, annotations first."""
    path = folder / "annotations.json"
    coco = json.loads(path.read_text())
    edit(coco)
    parts = []
    for key in ("annotations", "images", "categories"):
        rows = ",\n".join(json.dumps(entry) for entry in coco[key])
        parts.append(f'"{key}": [\n{rows}]')
    path.write_text("{\n" + ",\n".join(parts) + "}")


def first_image(folder: Path) -> Path:
    return next(folder / name for name in IMAGE.values() if (folder / name).is_file())


def truncate(folder: Path) -> None:
    image = first_image(folder)
    image.write_bytes(image.read_bytes()[:-900])


def link_out(folder: Path) -> None:
    image = first_image(folder)
    outside = folder.parent / "outside.png"
    shutil.move(image, outside)
    image.symlink_to(outside)


def copy_into_val(folder: Path) -> None:
    """Put img-0, saved again with loss, in the place of val's first image."""
    image = first_image(folder)
    target = Path(str(image).replace("train", "val").replace("img-0", "img-4"))
    with Image.open(image) as source:
        source.convert("RGB").save(target.with_suffix(".jpg"), quality=60)
    Image.open(target.with_suffix(".jpg")).save(target)
    target.with_suffix(".jpg").unlink()


ANY_FORMAT: list[Any] = [
    pytest.param(lambda f: set_box(f, (4, 6, 70, 30)), "label", "box_outside",
                 "expected a box inside the image of 64x48 px, got (4, 6, 70, 30) px", id="right"),
    pytest.param(lambda f: set_box(f, (-3, 6, 20, 30)), "label", "box_outside",
                 "expected a box inside the image of 64x48 px, got (-3, 6, 20, 30) px", id="left"),
    pytest.param(lambda f: set_box(f, (4, 6, 4, 6)), "label", "box_too_small",
                 "got (4, 6, 4, 6) px, which is 0 by 0; correct it, delete it, or set", id="zero"),
    pytest.param(lambda f: set_box(f, (4, 6, 5, 30)), "label", "box_too_small",
                 "expected a box of more than one pixel in each direction", id="one pixel"),
    pytest.param(lambda f: set_box(f, (20, 30, 4, 6)), "label", "box_too_small",
                 "which is -16 by -24", id="inverted"),
    pytest.param(lambda f: set_box(f, (float("nan"), 6, 20, 30)), "label", "box_not_finite",
                 "expected a box of finite numbers, got (nan", id="nan"),
    pytest.param(lambda f: set_box(f, (4, 6, 20, float("inf"))), "label", "box_not_finite",
                 "expected a box of finite numbers", id="infinite"),
    pytest.param(set_class, "label", "class_unknown", "expected", id="unknown class"),
    pytest.param(truncate, "image", "image_unreadable", "expected a whole JPEG, PNG, BMP, TIFF or "
                 "WebP image, got: image file is truncated", id="truncated"),
    pytest.param(lambda f: first_image(f).write_bytes(b"GIF89a"), "image", "image_unreadable",
                 "cannot identify image file", id="no image"),
    pytest.param(lambda f: write_png_header(first_image(f), 10_000, 10_000), "image",
                 "image_too_large", "nothing was decoded", id="large"),
    pytest.param(lambda f: write_png_header(first_image(f), 60_000, 60_000), "image",
                 "image_too_large", "(a decompression bomb?)", id="bomb"),
    pytest.param(link_out, "image", "path_escape", "is a link that leaves it; put the file itself "
                 "there", id="link"),
    pytest.param(copy_into_val, "image", "duplicate_across_splits",
                 "expected each image in one split, this one in val is the same picture as",
                 id="same picture in two splits"),
]  # fmt: skip


def assert_one_error(folder: Path, format_name: str, code: str, message: str) -> tuple[str, int]:
    """Check that `check` lists that error, `prepare` stops with it, and nothing is written."""
    before = snapshot(folder.parent)
    errors = errors_in(check_dataset(folder, format_name))  # type: ignore[arg-type]
    assert [(error.code, message in error.message) for error in errors] == [(code, True)], errors
    source = FolderSource(kind="folder", path=folder, format=format_name)
    with pytest.raises(DatasetError) as raised:
        prepare(
            PrepareConfig(source=source),
            raw_dir=folder.parent / "raw",
            out_dir=folder.parent / "out",
        )
    assert f"has 1 error:\n  {errors[0]}" in str(raised.value)
    shown = CliRunner().invoke(app, ["data", "check", str(folder), "--format", format_name])
    assert (shown.exit_code, str(errors[0]) in shown.output) == (1, True)
    assert snapshot(folder.parent) == before
    return errors[0].file, errors[0].line or 0


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("damage", "place", "code", "message"), ANY_FORMAT)
def test_errors_of_any_format(
    make_folder: MakeFolder, format_name: str, damage: Break, place: str, code: str, message: str
) -> None:
    folder = make_folder(format_name)
    damage(folder)
    file, line = assert_one_error(folder, format_name, code, message)
    if place == "label":
        assert (file, line) == (LABEL[format_name], LINE[format_name])
    elif code == "path_escape" and format_name == "coco":
        assert (file, line > 0) == ("annotations.json", True)  # which names the file
    else:
        changed = "img-4" if code == "duplicate_across_splits" else "img-0"
        assert (Path(file).stem, line) == (changed, 0)


def add_orphan(folder: Path, name: str) -> None:
    (folder / name).write_text((folder / name).with_name("img-0.xml").read_text()
                               if name.endswith("xml") else "0 0.5 0.5 0.1 0.1\n")  # fmt: skip


def list_again(folder: Path, name: str) -> None:
    with (folder / "ImageSets/Main/val.txt").open("a") as file:
        file.write(name + "\n")


ONE_FORMAT: list[Any] = [
    ("yolo", lambda f: (f / "images/train/img-0.png").unlink(), "label_without_image",
     "labels/train/img-0.txt:0", "expected an image img-0.* for these labels, there is none"),
    ("yolo", lambda f: add_orphan(f, "labels/val/x.txt"), "label_without_image",
     "labels/val/x.txt:0", "add it or remove the labels"),
    ("yolo", lambda f: replace_line(f / "labels/train/img-1.txt", 2, "0 0.1 0.1 0.1"), "syntax",
     "labels/train/img-1.txt:2", "expected 'class_id centre_x centre_y width height', got"),
    ("yolo", lambda f: replace_line(f / "labels/train/img-1.txt", 2, "cat 0.1 0.1 0.1 0.1"),
     "syntax", "labels/train/img-1.txt:2", "got 'cat 0.1 0.1 0.1 0.1'"),
    ("yolo", lambda f: replace_line(f / "labels/train/img-1.txt", 2, "-1 0.1 0.1 0.1 0.1"),
     "class_unknown", "labels/train/img-1.txt:2", "expected a class id from 0 to 1, got -1"),
    ("yolo", lambda f: replace_line(f / "data.yaml", 1, "train: ../elsewhere/images"),
     "path_escape", "data.yaml:0", "got '../elsewhere/images'; remove '..' from it"),
    ("yolo", lambda f: replace_line(f / "data.yaml", 1, "path: /data\ntrain: images/train"),
     "path_escape", "data.yaml:0", "got the absolute path '/data'"),
    ("yolo", lambda f: replace_line(f / "data.yaml", 1, "train: [images/train"), "syntax",
     "data.yaml:2", "expected YAML, got:"),
    ("yolo", lambda f: (f / "data.yaml").unlink(), "file_missing", "data.yaml:0",
     "expected data.yaml with names, train and val; add it"),
    ("yolo", lambda f: (f / "labels/train/img-0.txt").write_bytes(b"\xff\xfe0"), "file_unreadable",
     "labels/train/img-0.txt:0", "expected UTF-8 text"),
    ("coco", lambda f: edit_json(f, lambda c: c["annotations"][3].update(image_id=99)),
     "annotation_unknown_image", "annotations.json:6",
     "expected the id of an image, got image_id 99"),
    ("coco", lambda f: (f / "images/img-7.png").unlink(), "image_missing", "images/img-7.png:0",
     "expected an image file here, there is none; add it or drop its labels"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][0].update(file_name="../x/img-0.png")),
     "path_escape", "annotations.json:20", "got '../x/img-0.png'; remove '..' from it"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][0].update(file_name="/img-0.png")),
     "path_escape", "annotations.json:20", "got the absolute path '/img-0.png'"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][0].update(width=65)), "image_size",
     "annotations.json:20", "expected the image's size 64x48, the labels say 65x48"),
    ("coco", lambda f: edit_json(f, lambda c: c["annotations"][0].update(bbox=[1, 2, 3])),
     "syntax", "annotations.json:3", "expected bbox as [x, y, width, height], got [1, 2, 3]"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][1].update(file_name="img-0.png")),
     "image_repeated", "annotations.json:21", "is listed in train and again in train; remove"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][4].update(file_name="img-0.png")),
     "duplicate_across_splits", "annotations.json:24", "is listed in train and again in val"),
    ("coco", lambda f: edit_json(f, lambda c: c["images"][0].update(split="dev")), "syntax",
     "annotations.json:20", "got 'dev'"),
    ("coco", lambda f: replace_line(f / "annotations.json", 5, "]["), "syntax",
     "annotations.json:5", "expected a JSON object, got: Expecting "),
    ("coco", lambda f: (f / "annotations.json").write_text('{"images": [], "categories": []}'),
     "syntax", "annotations.json:0", "expected an array 'annotations'"),
    ("coco", lambda f: (f / "annotations.json").unlink(), "file_missing", "annotations.json:0",
     "found neither"),
    ("voc", lambda f: (f / "JPEGImages/img-7.png").unlink(), "label_without_image",
     "Annotations/img-7.xml:3", "expected an image JPEGImages/img-7.* for these labels"),
    ("voc", lambda f: list_again(f, "img-0"), "duplicate_across_splits",
     "ImageSets/Main/val.txt:3", "'img-0' is in train and val; remove it from one"),
    ("voc", lambda f: (f / "classes.txt").write_bytes(b"\xe9\n"), "file_unreadable",
     "classes.txt:0", "expected UTF-8 text"),
    ("voc", lambda f: list_again(f, "nothing"), "image_missing", "ImageSets/Main/val.txt:3",
     "expected the name of an image in JPEGImages/, got 'nothing'"),
    ("voc", lambda f: list_again(f, "../img-0"), "path_escape", "ImageSets/Main/val.txt:3",
     "got '../img-0'; remove '..' from it"),
    ("voc", lambda f: replace_line(f / LABEL["voc"], 7, "<broken>"), "syntax",
     "Annotations/img-0.xml:", "expected Pascal VOC XML, got:"),
    ("voc", lambda f: replace_line(f / LABEL["voc"], 5, "<width>x</width>"), "image_size",
     "Annotations/img-0.xml:4", "invalid literal"),
    ("voc", lambda f: replace_line(f / LABEL["voc"], 13, "<xmin>left</xmin>"), "syntax",
     "Annotations/img-0.xml:9", "expected a bndbox with the numbers xmin, ymin, xmax, ymax"),
    ("voc", lambda f: write_blobs(f / "JPEGImages/img-0.jpg", 55), "image_repeated",
     "JPEGImages/img-0.png:0", "expected one file of that name"),
]  # fmt: skip


@pytest.mark.parametrize(("format_name", "damage", "code", "place", "message"), ONE_FORMAT)
def test_errors_of_one_format(
    make_folder: MakeFolder, format_name: str, damage: Break, code: str, place: str, message: str
) -> None:
    folder = make_folder(format_name)
    damage(folder)
    file, line = assert_one_error(folder, format_name, code, message)
    assert f"{file}:{line}".startswith(place)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_sound_data_set_has_no_problem(make_folder: MakeFolder, format_name: str) -> None:
    assert check_dataset(make_folder(format_name), format_name) == []  # type: ignore[arg-type]


def test_everything_is_listed_in_one_pass(make_folder: MakeFolder) -> None:
    folder = make_folder("yolo")
    set_class(folder)
    truncate(folder)
    set_box_text = "0 0.5 0.5 2 0.5\nnonsense\n1 nan 0.5 0.1 0.1\n"
    (folder / "labels/val/img-4.txt").write_text(set_box_text)
    (folder / "labels/val/img-5.txt").write_text("")
    add_orphan(folder, "labels/test/x.txt")
    replace_line(folder / "data.yaml", 5, "  0: cat\n  1: dog\n  2: unicorn")
    (folder / "data.yaml").write_text(
        "train: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog, a, unicorn]\n"
    )
    found = check_dataset(folder, "yolo")
    assert [(p.level, p.code, p.file, p.line) for p in found] == [
        ("warning", "class_unused", ".", None),
        ("error", "image_unreadable", "images/train/img-0.png", None),
        ("warning", "image_without_labels", "images/val/img-5.png", None),
        ("error", "label_without_image", "labels/test/x.txt", None),
        ("error", "box_outside", "labels/val/img-4.txt", 1),
        ("error", "syntax", "labels/val/img-4.txt", 2),
        ("error", "box_not_finite", "labels/val/img-4.txt", 3),
    ]
    assert str(found[-1]).startswith("labels/val/img-4.txt:3: error: expected a box of finite")


def test_warnings_do_not_stop_prepare(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder("coco")
    edit_json(folder, lambda c: c["annotations"].pop(0))
    edit_json(folder, lambda c: c["annotations"].pop(0))
    edit_json(folder, lambda c: c["categories"].append({"id": 7, "name": "unicorn"}))
    write_blobs(folder / "images" / "extra.png", seed=77)
    found = check_dataset(folder, "coco")
    assert {p.level for p in found} == {"warning"}
    assert {(p.code, p.file) for p in found} == {
        ("class_unused", "."),
        ("image_without_labels", "images/img-0.png"),
        ("image_unlisted", "images/extra.png"),
    }
    source = FolderSource(kind="folder", path=folder, format="coco")
    section = PrepareConfig(source=source, min_instances=0)
    metrics = prepare(section, raw_dir=tmp_path, out_dir=tmp_path / "out")
    assert metrics["warnings"] == {
        "class_unused": 1, "image_without_labels": 1, "image_unlisted": 1,
    }  # fmt: skip


def test_a_crop_in_another_split_is_a_warning(make_folder: MakeFolder) -> None:
    folder = make_folder("coco")
    with Image.open(folder / "images" / "img-0.png") as image:
        crop = image.crop((1, 1, 62, 47)).resize((64, 48))
    crop.save(folder / "images" / "img-4.png")
    (found,) = check_dataset(folder, "coco")
    assert (found.level, found.code) == ("warning", "alike_across_splits")
    assert "looks much like images/img-0.png in train" in found.message


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected the folder of a yolo data set"):
        check_dataset(tmp_path / "none", "yolo")
