"""Data sets made to break a reader: each fault is named, in no time and in few words."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from broken_folders import MakeFolder
from typer.testing import CliRunner

from synthdata.cli import app
from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import FolderSource
from synthdata.datasets.check import check_dataset
from synthdata.datasets.prepare import prepare, source_fingerprint
from synthdata.errors import DatasetError
from synthdata.formats.records import Problem, RawDataset, errors_in

Break = Callable[[Path], object]
BOMB = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 11)
)
SPLITS = "train: images/train\nval: images/val\ntest: images/test\n"


def data_yaml(text: str) -> Break:
    return lambda folder: (folder / "data.yaml").write_text(text)


def coco(**parts: str) -> Break:
    """Put raw JSON in the place of a value of the first entry: `bbox='[1, 2]'`."""

    def edit(folder: Path) -> None:
        path = folder / "annotations.json"
        values = json.loads(path.read_text())
        places = {
            "bbox": ("annotations", "bbox"), "iscrowd": ("annotations", "iscrowd"),
            "file_name": ("images", "file_name"), "category": ("categories", "id"),
            "name": ("categories", "name"),
        }  # fmt: skip
        for key in parts:
            table, field = places[key]
            values[table][0][field] = f"<{key}>"
        text = json.dumps(values, indent=1)
        for key, raw in parts.items():
            text = text.replace(f'"<{key}>"', raw)
        path.write_text(text)

    return edit


def pipe(name: str) -> Break:
    def put(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    return put


def official(folder: Path) -> None:
    """Turn `annotations.json` into the official form, with a pipe in its place."""
    (folder / "annotations.json").unlink()
    (folder / "annotations").mkdir()
    os.mkfifo(folder / "annotations" / "instances_train.json")


def rename_to_bytes(folder: Path) -> None:
    image = folder / "images" / "train" / "img-0.png"
    image.rename(os.fsdecode(os.fsencode(image.parent) + b"/gr\xf6\xdfe.png"))
    (folder / "labels" / "train" / "img-0.txt").unlink()


HOSTILE: list[Any] = [
    pytest.param("yolo", data_yaml(BOMB + SPLITS + "names: *x10\n"), "syntax", "data.yaml:2",
                 "expected no alias", id="names: bomb"),
    pytest.param("yolo", data_yaml(BOMB + "train: *x10\nnames: [a]\n"), "syntax", "data.yaml:2",
                 "expected no alias", id="train: bomb"),
    pytest.param("yolo", data_yaml("names: &n [a, *n]\n" + SPLITS), "syntax", "data.yaml:1",
                 "expected no alias", id="names: alias of themselves"),
    pytest.param("yolo", data_yaml("names: [a]\nnames: [b]\n" + SPLITS), "syntax", "data.yaml:2",
                 "'names' stands twice", id="names: twice"),
    pytest.param("yolo", data_yaml("names: " + "[" * 20_000), "syntax", "data.yaml:1",
                 "at most 40 levels", id="names: deep"),
    pytest.param("yolo", data_yaml(SPLITS + "names: [a, [b]]\n"), "classes", "data.yaml",
                 "names as a list of texts", id="names: list in a list"),
    pytest.param("yolo", data_yaml(SPLITS + "names: [a, null]\n"), "classes", "data.yaml",
                 "names as a list of texts", id="names: null"),
    pytest.param("yolo", data_yaml(SPLITS + f"names: [{'x' * 100_000}, {{}}]\n"), "classes",
                 "data.yaml", "names as a list of texts", id="names: long"),
    pytest.param("yolo", data_yaml(SPLITS + f"names: [a, b]\nnc: {'9' * 5_000}\n"), "syntax",
                 "data.yaml:5", "at most 64 bits", id="nc: huge"),
    pytest.param("yolo", data_yaml("train: [[images/train]]\nnames: [a]\n"), "syntax", "data.yaml",
                 "expected train to be text", id="train: list in a list"),
    pytest.param("yolo", data_yaml("path: {a: b}\nnames: [a]\n" + SPLITS), "syntax", "data.yaml",
                 "expected path to be text", id="path: mapping"),
    pytest.param("yolo", data_yaml("names: !!python/name:os.system\n" + SPLITS), "syntax",
                 "data.yaml:1", "the tag", id="names: tag"),
    pytest.param("yolo", pipe("labels/train/img-0.txt"), "file_unreadable",
                 "labels/train/img-0.txt", "a pipe", id="label: pipe"),
    pytest.param("yolo", pipe("data.yaml"), "file_missing", "data.yaml", "expected data.yaml",
                 id="data.yaml: pipe"),
    pytest.param("yolo", rename_to_bytes, "path_escape", "images/train/gr\\udcf6\\udcdfe.png",
                 "a path in UTF-8", id="image: name not in UTF-8"),
    pytest.param("coco", coco(bbox=f"[1{'0' * 400}, 1, 5, 5]"), "syntax", "annotations.json:",
                 "expected bbox as [x, y, width, height]", id="bbox: 10**400"),
    pytest.param("coco", coco(bbox='"1234"'), "syntax", "annotations.json:",
                 "height], got '1234'", id="bbox: text"),
    pytest.param("coco", coco(bbox='{"1": 0, "2": 0, "9": 0, "8": 0}'), "syntax",
                 "annotations.json:", "expected bbox as", id="bbox: mapping"),
    pytest.param("coco", coco(bbox="[" + "1," * 1_000_000 + "1]"), "syntax", "annotations.json:",
                 "expected bbox as", id="bbox: long"),
    pytest.param("coco", coco(bbox=f"[{'1' * 5_000}, 1, 5, 5]"), "syntax", "annotations.json:",
                 "Exceeds the limit (4300 digits)", id="bbox: digits"),
    pytest.param("coco", coco(bbox="[" * 100_000), "syntax", "annotations.json:",
                 "recursion", id="bbox: deep"),
    pytest.param("coco", coco(iscrowd="NaN"), "syntax", "annotations.json:",
                 "expected iscrowd 0 or 1, got nan", id="iscrowd: NaN"),
    pytest.param("coco", coco(category="Infinity"), "classes", "annotations.json",
                 "an integer id and a name", id="category: Infinity"),
    pytest.param("coco", coco(name='""'), "classes", "annotations.json",
                 "expected names of categories as text, got ''", id="category: no name"),
    pytest.param("coco", coco(name='"\\ud800"'), "classes", "annotations.json",
                 "as text, got '\\ud800'", id="category: surrogate"),
    pytest.param("coco", coco(file_name='"\\ud800.png"'), "path_escape", "annotations.json:",
                 "a path in UTF-8", id="file_name: surrogate"),
    pytest.param("coco", pipe("annotations.json"), "file_missing", "annotations.json",
                 "found neither", id="annotations.json: pipe"),
    pytest.param("coco", official, "file_unreadable", "annotations/instances_train.json",
                 "a pipe", id="instances: pipe"),
    pytest.param("voc", pipe("Annotations/img-0.xml"), "file_unreadable", "Annotations/img-0.xml",
                 "a pipe", id="xml: pipe"),
    pytest.param("voc", pipe("ImageSets/Main/train.txt"), "file_unreadable",
                 "ImageSets/Main/train.txt", "a pipe", id="list: pipe"),
    pytest.param("voc", pipe("classes.txt"), "file_unreadable", "classes.txt", "a pipe",
                 id="classes: pipe"),
    pytest.param("voc", pipe("JPEGImages/img-0.png"), "image_missing", "JPEGImages/img-0.png",
                 "expected an image file", id="image: pipe"),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("format_name", "damage", "code", "place", "message"), HOSTILE)
def test_hostile_files_are_named(
    make_folder: MakeFolder, format_name: str, damage: Break, code: str, place: str, message: str
) -> None:
    folder = make_folder(format_name)
    damage(folder)
    start = time.perf_counter()

    found = errors_in(check_dataset(folder, format_name))  # type: ignore[arg-type]

    assert time.perf_counter() - start < 20
    hits = [p for p in found if p.code == code and message in p.message]
    assert len(hits) == 1, found
    assert str(hits[0]).startswith(place)
    assert sum(len(str(problem)) for problem in found) < 20_000
    assert all(str(problem).isprintable() for problem in found)
    source = FolderSource(kind="folder", path=folder, format=format_name)
    section = PrepareConfig(source=source)
    source_fingerprint(section, folder)  # which a run asks for first
    with pytest.raises(DatasetError, match="errors?:\n"):
        prepare(section, raw_dir=folder, out_dir=folder.parent / "out")
    shown = CliRunner().invoke(app, ["data", "check", str(folder), "--format", format_name])
    assert (shown.exit_code, str(hits[0]) in shown.output) == (1, True)


def test_a_crowd_is_left_out_and_no_crowd_is_kept(make_folder: MakeFolder) -> None:
    folder = make_folder("coco")
    coco(iscrowd="1")(folder)
    assert check_dataset(folder, "coco") == []


def test_controls_in_names_do_nothing_to_the_terminal() -> None:
    raw = RawDataset(Path())
    raw.error("syntax", "a\x1b[2Jb\n.txt", "got \x1b]0;owned\x07")
    assert str(raw.problems[0]) == r"a\x1b[2Jb\n.txt: error: got \x1b]0;owned\x07 [syntax]"


def test_a_message_keeps_its_end_where_the_advice_stands() -> None:
    raw = RawDataset(Path())
    raw.warning("syntax", "a", f"expected less, got {'x' * 10_000}; remove it")
    message = raw.problems[0].message
    assert len(message) < 1_100
    assert (message[:13], message[-11:]) == ("expected less", "; remove it")


@pytest.fixture
def as_nobody(make_folder: MakeFolder, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a folder that belongs to this user, who isn't root, so that permissions count."""
    nobody = 65534
    closed: list[Path] = []

    def make(format_name: str) -> Path:
        folder = make_folder(format_name)
        if os.geteuid() == 0:
            for above in [tmp_path, *tmp_path.parents]:
                if above.stat().st_mode & 0o077 == 0:
                    closed.append(above)
                    above.chmod(0o711)
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, nobody, nobody)
            os.seteuid(nobody)
        return folder

    yield make
    if os.getuid() == 0:
        os.seteuid(0)
    for path in closed:
        path.chmod(0o700)


@pytest.mark.xdist_group("nobody")  # the folders above are opened, and closed again
@pytest.mark.parametrize(
    ("format_name", "name", "mode", "place"),
    [
        ("yolo", "labels/train", 0, "labels/train/img-0.txt"),
        ("yolo", "labels/train/img-0.txt", 0, "labels/train/img-0.txt"),
        ("yolo", "images/train", 0o444, "images/train/img-0.png"),
        ("yolo", "data.yaml", 0, "data.yaml"),
        ("coco", "images", 0o444, "annotations.json"),
        ("voc", "Annotations", 0o444, "Annotations/img-0.xml"),
        ("voc", "ImageSets/Main", 0, "ImageSets/Main/train.txt"),
    ],
)
def test_what_may_not_be_read_is_named(
    as_nobody: Callable[[str], Path], format_name: str, name: str, mode: int, place: str
) -> None:
    folder = as_nobody(format_name)
    (folder / name).chmod(mode)
    try:
        found: list[Problem] = check_dataset(folder, format_name)  # type: ignore[arg-type]
        source = FolderSource(kind="folder", path=folder, format=format_name)
        with pytest.raises(DatasetError):
            source_fingerprint(PrepareConfig(source=source), folder)
            prepare(PrepareConfig(source=source), raw_dir=folder, out_dir=folder.parent / "out")
    finally:
        (folder / name).chmod(0o755)
    assert place in {problem.file for problem in errors_in(found)}
    assert "Permission denied" in " ".join(problem.message for problem in found)
