"""Reads Pascal VOC folders as they stand; what is wrong is noted, never raised."""

from collections.abc import Iterable, Set
from pathlib import Path

import numpy as np
from lxml import etree

from synthdata.formats.images import IMAGE_SUFFIXES, upright_xyxy
from synthdata.formats.paths import files_below
from synthdata.formats.records import RawDataset, RawImage
from synthdata.samples import Split

_IMAGES, _LABELS, _LISTS = Path("JPEGImages"), Path("Annotations"), Path("ImageSets/Main")
_CLASSES = Path("classes.txt")
# `trainval` counts for the images that no other list has.
_LIST_NAMES: dict[str, Split] = {
    "train": "train", "reserve": "reserve", "val": "val", "test": "test", "trainval": "train",
}  # fmt: skip
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parse_voc(root: Path, *, class_names: tuple[str, ...] = ()) -> RawDataset:
    """Return a Pascal VOC folder's records and problems.

    Args:
        root: The folder.
        class_names: The classes; without them `classes.txt` says, and without that the
            names found, in alphabetical order.
    """
    raw = RawDataset(root, class_names)
    if not class_names and raw.has(_CLASSES):
        lines = (raw.read_text(_CLASSES) or "").splitlines()
        raw.class_names = tuple(line.strip() for line in lines if line.strip())
    images = _by_stem(raw, files_below(root, _IMAGES, IMAGE_SUFFIXES))
    labels = _by_stem(raw, files_below(root, _LABELS, frozenset({".xml"})))
    trees = {
        stem: tree for stem, path in labels.items() if (tree := _parse_xml(raw, path)) is not None
    }
    for stem in sorted(set(labels) - set(images)):
        _find_named(raw, trees.get(stem), labels[stem], images=images, labels=labels)
    if not images:
        raw.error("no_images", _IMAGES, f"expected images in {_IMAGES}/, found none")
    raw.class_names = raw.class_names or _found_classes(trees.values())
    splits = _read_lists(raw, known=images.keys() | labels.keys())
    for stem in sorted(set(images) & set(splits or images)):
        label = labels.get(stem, _LABELS / f"{stem}.xml")
        split = splits.get(stem, "train")
        raw.images.append(_parse_image(raw, images[stem], split, label, trees.get(stem)))
    if splits:
        for stem in sorted(set(images) - set(splits)):
            raw.warning("image_unlisted", images[stem], f"no list in {_LISTS} has it; left out")
    return raw


def _found_classes(trees: Iterable[etree._Element]) -> tuple[str, ...]:
    names = {name.strip() for tree in trees for name in map(_name, tree.iterfind("object"))}
    return tuple(sorted(names - {""}))


def _name(item: etree._Element) -> str:
    return (item.findtext("name") or "").strip()


def _by_stem(raw: RawDataset, paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raw.error(
                "image_repeated",
                path,
                f"expected one file of that name, there is {found[path.stem].as_posix()} too; "
                "rename one",
            )
        found.setdefault(path.stem, path)
    return found


def _parse_xml(raw: RawDataset, path: Path) -> etree._Element | None:
    content = raw.read_bytes(path)
    if content is None:
        return None
    # Entities stay unexpanded and nothing is fetched: labels come from anywhere.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raw.error("syntax", path, f"expected Pascal VOC XML, got: {error.msg}", error.lineno)
        return None


def _find_named(
    raw: RawDataset,
    tree: etree._Element | None,
    label: Path,
    *,
    images: dict[str, Path],
    labels: dict[str, Path],
) -> None:
    """Give a label whose name no image has the image that it names in `filename`."""
    element = None if tree is None else tree.find("filename")
    named = "" if element is None else (element.text or "").strip()
    line = None if element is None else element.sourceline
    if named:
        path = raw.inside(named, base=_IMAGES, file=label.as_posix(), line=line)
        if path is None:
            return
        if images.get(path.stem) == path and path.stem not in labels:
            images[label.stem] = images.pop(path.stem)
            return
    raw.error(
        "label_without_image",
        label,
        f"expected an image {_IMAGES}/{label.stem}.* for these labels, there is none; add it or "
        "remove the labels",
        line,
    )


def _read_lists(raw: RawDataset, *, known: Set[str]) -> dict[str, Split]:
    """Return each listed image's official split; empty where there are no lists."""
    splits: dict[str, Split] = {}
    for name, split in _LIST_NAMES.items():
        path = _LISTS / f"{name}.txt"
        if not raw.has(path):
            continue
        lines = (raw.read_text(path) or "").splitlines()
        for line, text in enumerate(lines, start=1):
            stem = _listed_stem(raw, path, line, text, known)
            if stem is None or (name == "trainval" and stem in splits):
                continue
            if splits.setdefault(stem, split) != split:
                raw.error(
                    "duplicate_across_splits",
                    path,
                    f"expected each image in one split, {stem!r} is in {splits[stem]} and "
                    f"{split}; remove it from one",
                    line,
                )
    return splits


def _listed_stem(raw: RawDataset, path: Path, line: int, text: str, known: Set[str]) -> str | None:
    stem = text.strip()
    if not stem or raw.inside(stem, base=_IMAGES, file=path.as_posix(), line=line) is None:
        return None
    if stem not in known:
        stem = stem.split()[0]  # some lists say after the name whether a class is there
    if stem in known:
        return stem
    raw.error(
        "image_missing",
        path,
        f"expected the name of an image in {_IMAGES}/, got {text.strip()!r}; correct it or "
        "remove the line",
        line,
    )
    return None


def _parse_image(
    raw: RawDataset, path: Path, split: Split, label: Path, tree: etree._Element | None
) -> RawImage:
    header = raw.header(path)
    objects = [] if tree is None else list(tree.iterfind("object"))
    xyxy = np.array([_xyxy(raw, label, item) for item in objects], np.float64).reshape(-1, 4)
    if header is not None and tree is not None:
        try:
            width, height = (tree.findtext(f"size/{side}") or 0 for side in ("width", "height"))
            declared = (int(width), int(height))
            if all(declared):  # some tools write none, or 0
                xyxy = upright_xyxy(xyxy, header, declared)
        except ValueError as error:
            element = tree.find("size")
            line = None if element is None else element.sourceline
            raw.error("image_size", label, str(error), line)
    return RawImage(
        path=path,
        split=split,
        header=header,
        xyxy=xyxy,
        class_id=np.array([_class_id(raw, label, item) for item in objects], np.int64),
        label_file=label.as_posix(),
        lines=tuple(item.sourceline for item in objects),
    )


def _xyxy(raw: RawDataset, label: Path, item: etree._Element) -> list[float]:
    try:
        return [float(item.findtext(f"bndbox/{corner}") or "") for corner in _CORNERS]
    except ValueError:
        raw.error(
            "syntax",
            label,
            f"expected a bndbox with the numbers {', '.join(_CORNERS)}; correct it",
            item.sourceline,
        )
        return [0.0, 0.0, 2.0, 2.0]  # never used, since the error stops the data set


def _class_id(raw: RawDataset, label: Path, item: etree._Element) -> int:
    name = _name(item)
    if name in raw.class_names:
        return raw.class_names.index(name)
    raw.error(
        "class_unknown",
        label,
        f"expected one of the classes {', '.join(raw.class_names)}, got {name!r}; correct it, or "
        f"add it to {_CLASSES}",
        item.sourceline,
    )
    return -1
