"""Pascal VOC detection folders: `JPEGImages/`, `Annotations/`, `ImageSets/Main/`.

Boxes are read and written as they stand: xmin, ymin, xmax, ymax as the box's edges in
pixels, without VOC's count from 1, since most tools that write this format (LabelImg, which
labelled BCCD, among them) don't follow it. Source: the VOC 2012 development kit.
"""

from pathlib import Path

from lxml import etree

from synthdata.files import link_or_copy, replacing_dir
from synthdata.formats.assemble import assemble
from synthdata.formats.export import export_name, guard_target
from synthdata.formats.voc_reader import parse_voc
from synthdata.samples import DetectionDataset, Sample


def load_voc(root: Path, *, class_names: tuple[str, ...] = ()) -> DetectionDataset:
    """Return the data set in a Pascal VOC folder.

    Args:
        root: The folder.
        class_names: The classes, in order; without them `classes.txt` says, and without that
            the names found, in alphabetical order.

    Raises:
        DatasetError: With every problem found.
    """
    return assemble(parse_voc(root, class_names=class_names))


def save_voc(dataset: DetectionDataset, out_dir: Path) -> None:
    """Write a data set as a Pascal VOC folder, all or nothing; an older one is replaced.

    `classes.txt`, which VOC doesn't have, keeps the order of the classes.

    Args:
        dataset: Its images are linked where possible, else copied.
        out_dir: The new folder.

    Raises:
        DatasetError: If `out_dir` is the data set's own folder, or holds it.
    """
    guard_target(dataset, out_dir)
    with replacing_dir(out_dir) as folder:
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / name).mkdir(parents=True)
        stems: dict[str, list[str]] = {"train": [], "val": []}
        for sample in dataset:
            link_or_copy(dataset.image_path(sample), folder / "JPEGImages" / export_name(sample))
            root = _annotation(sample, dataset.class_names)
            content = etree.tostring(root, pretty_print=True, encoding="utf-8")
            (folder / "Annotations" / f"{sample.sample_id}.xml").write_bytes(content)
            stems.setdefault(sample.split, []).append(sample.sample_id)
        for split, names in stems.items():
            text = "".join(f"{name}\n" for name in names)
            (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(text, encoding="utf-8")
        classes = "".join(f"{name}\n" for name in dataset.class_names)
        (folder / "classes.txt").write_text(classes, encoding="utf-8")


def _annotation(sample: Sample, class_names: tuple[str, ...]) -> etree._Element:
    root = etree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", export_name(sample))
    size = _add(root, "size")
    for side, value in (("width", sample.width), ("height", sample.height), ("depth", 3)):
        _add(size, side, str(value))
    annotations = sample.annotations
    for xyxy, class_id in zip(annotations.xyxy, annotations.class_id, strict=True):
        item = _add(root, "object")
        _add(item, "name", class_names[class_id])
        _add(item, "difficult", "0")
        box = _add(item, "bndbox")
        for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), xyxy, strict=True):
            _add(box, corner, f"{value:.9g}")
    return root


def _add(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, tag)
    child.text = text
    return child
