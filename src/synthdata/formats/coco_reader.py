"""Reads COCO folders as they stand; what is wrong is noted, never raised.

Two forms: `annotations.json` with `images/`, and the official
`annotations/instances_<split>.json` with `<split>/` (or `images/<split>/`).
"""

import reprlib
from collections import defaultdict
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any, get_args

import numpy as np

from synthdata.formats.images import IMAGE_SUFFIXES, upright_xyxy
from synthdata.formats.located_json import parse_located
from synthdata.formats.paths import files_below, is_file, is_text
from synthdata.formats.records import RawDataset, RawImage
from synthdata.samples import Split

_SPLITS: tuple[Split, ...] = get_args(Split)


_Entry = tuple[dict[str, Any], int]  # a JSON object and its line


@dataclass
class _JsonFile:
    """One annotation file under way.

    Attributes:
        name: Relative to the data set's folder.
        image_dirs: Where its images may be, the likeliest first.
        split: The official split; None where each image names its own.
        images: Entries.
        annotations: Entries by image id; an image takes its own.
        categories: Class id by category id.
    """

    name: str
    image_dirs: tuple[Path, ...]
    split: Split | None
    images: list[_Entry] = field(default_factory=list)
    annotations: dict[str, list[_Entry]] = field(default_factory=lambda: defaultdict(list))
    categories: dict[str, int] = field(default_factory=dict)


def parse_coco(root: Path) -> RawDataset:
    """Return a COCO folder's records and problems."""
    raw = RawDataset(root)
    files = _json_files(root)
    if not files:
        raw.error(
            "file_missing",
            "annotations.json",
            "expected annotations.json beside images/, or annotations/instances_<split>.json "
            "beside <split>/; found neither",
        )
    seen: dict[Path, Split] = {}
    for file in files:
        if _read(raw, file):
            for located in file.images:
                _parse_image(raw, file, located, seen)
            _find_strays(raw, file)
    _find_unlisted(raw, files, set(seen))
    return raw


def _json_files(root: Path) -> list[_JsonFile]:
    if is_file(root / "annotations.json"):
        return [_JsonFile("annotations.json", (Path("images"), Path()), None)]
    files = []
    for path in sorted((root / "annotations").glob("instances_*.json")):
        name = path.stem.removeprefix("instances_")
        split: Split = next((split for split in _SPLITS if name.startswith(split)), "train")
        folders = (Path(name), Path("images") / name, Path("images"))
        files.append(_JsonFile(f"annotations/{path.name}", folders, split))
    return files


def _read(raw: RawDataset, file: _JsonFile) -> bool:
    """Fill `file` from the disk; return whether it has COCO's shape."""
    text = raw.read_text(Path(file.name))
    if text is None:
        return False
    try:
        found = parse_located(text)
    except JSONDecodeError as error:
        raw.error("syntax", file.name, f"expected a JSON object, got: {error}", error.lineno)
        return False
    complete = True
    for key in ("images", "annotations", "categories"):
        if key not in found.lines:
            raw.error("syntax", file.name, f"expected an array {key!r}, as COCO has it; add it")
            complete = False
    if not complete:
        return False
    _read_categories(raw, file, found.values["categories"])
    file.images = _entries(raw, file, found.values["images"], found.lines["images"], "file_name")
    entries = found.values["annotations"], found.lines["annotations"]
    for entry, line in _entries(raw, file, *entries, "image_id"):
        if not _is_crowd(raw, file, entry, line):
            file.annotations[str(entry["image_id"])].append((entry, line))
    return True


def _is_crowd(raw: RawDataset, file: _JsonFile, entry: dict[str, Any], line: int) -> bool:
    """Return whether an annotation is a region, not an object; COCO's own scoring skips it."""
    crowd = entry.get("iscrowd") or 0
    if crowd not in (0, 1):
        got = reprlib.repr(crowd)
        raw.error("syntax", file.name, f"expected iscrowd 0 or 1, got {got}; correct it", line)
    return bool(crowd)


def _entries(
    raw: RawDataset, file: _JsonFile, values: list[Any], lines: list[int], key: str
) -> list[_Entry]:
    kept = []
    for value, line in zip(values, lines, strict=True):
        if isinstance(value, dict) and key in value:
            kept.append((value, line))
        else:
            raw.error("syntax", file.name, f"expected an object with {key!r}", line)
    return kept


def _read_categories(raw: RawDataset, file: _JsonFile, values: list[Any]) -> None:
    try:
        ordered = sorted((int(value["id"]), str(value["name"])) for value in values)
    except (KeyError, TypeError, ValueError, OverflowError):
        raw.error("classes", file.name, "expected categories with an integer id and a name each")
        return
    for _, name in ordered:
        if not name.strip() or not is_text(name):
            raw.error("classes", file.name, f"expected names of categories as text, got {name!r}")
            return
    names = tuple(name for _, name in ordered)
    file.categories = {str(category): index for index, (category, _) in enumerate(ordered)}
    if not names or len(set(names)) < len(names) or len(file.categories) < len(names):
        got = reprlib.repr(ordered)
        raw.error("classes", file.name, f"expected categories that differ, got {got}")
    elif raw.class_names and names != raw.class_names:
        raw.error(
            "classes",
            file.name,
            f"expected the same categories in all files, {reprlib.repr(raw.class_names)}, got "
            f"{reprlib.repr(names)}",
        )
    raw.class_names = raw.class_names or names


def _parse_image(
    raw: RawDataset, file: _JsonFile, located: _Entry, seen: dict[Path, Split]
) -> None:
    entry, line = located
    path = _image_path(raw, file, str(entry["file_name"]), line)
    split = file.split or entry.get("split", "train")
    if split not in _SPLITS:
        raw.error("syntax", file.name, f"expected a split of {_SPLITS}, got {split!r}", line)
    elif path is not None and path in seen:
        code = "image_repeated" if seen[path] == split else "duplicate_across_splits"
        raw.error(
            code,
            file.name,
            f"expected each image once, {path.as_posix()!r} is listed in {seen[path]} and again "
            f"in {split}; remove one entry",
            line,
        )
    elif path is not None:
        seen[path] = split
        raw.images.append(_with_boxes(raw, file, path, split, located))
        return
    file.annotations.pop(str(entry.get("id")), None)


def _image_path(raw: RawDataset, file: _JsonFile, named: str, line: int) -> Path | None:
    base = file.image_dirs[0]
    first = raw.inside(named, base=base, file=file.name, line=line)
    if first is None:
        return None
    paths = (folder / first.relative_to(base) for folder in file.image_dirs)
    return next((path for path in paths if is_file(raw.root / path)), first)


def _with_boxes(
    raw: RawDataset, file: _JsonFile, path: Path, split: Split, located: _Entry
) -> RawImage:
    header = raw.header(path)
    entry, line = located
    boxes = file.annotations.pop(str(entry.get("id")), [])
    xyxy = np.array([_xyxy(raw, file, box) for box in boxes], np.float64).reshape(-1, 4)
    declared: Any = (entry.get("width"), entry.get("height"))
    if header is not None and all(declared):
        try:
            xyxy = upright_xyxy(xyxy, header, declared)
        except ValueError as error:
            raw.error("image_size", file.name, f"{path.as_posix()}: {error}", line)
    return RawImage(
        path=path,
        split=split,
        header=header,
        xyxy=xyxy,
        class_id=np.array([_class_id(raw, file, box) for box in boxes], np.int64),
        label_file=file.name,
        lines=tuple(line for _, line in boxes),
    )


def _xyxy(raw: RawDataset, file: _JsonFile, located: _Entry) -> list[float]:
    entry, line = located
    bbox = entry.get("bbox")
    try:
        x, y, width, height = map(float, bbox if isinstance(bbox, list) else ())
    except (TypeError, ValueError, OverflowError):
        raw.error(
            "syntax",
            file.name,
            f"expected bbox as [x, y, width, height], got {reprlib.repr(bbox)}; correct it",
            line,
        )
        return [0.0, 0.0, 2.0, 2.0]  # never used, since the error stops the data set
    return [x, y, x + width, y + height]


def _class_id(raw: RawDataset, file: _JsonFile, located: _Entry) -> int:
    entry, line = located
    category = str(entry.get("category_id"))
    if category in file.categories:
        return file.categories[category]
    raw.error(
        "class_unknown",
        file.name,
        f"expected a category_id of {', '.join(file.categories)}, got {category}; correct it, or "
        "add the category",
        line,
    )
    return -1


def _find_strays(raw: RawDataset, file: _JsonFile) -> None:
    """Note the annotations that no image took."""
    for image_id, entries in file.annotations.items():
        for _, line in entries:
            raw.error(
                "annotation_unknown_image",
                file.name,
                f"expected the id of an image, got image_id {image_id}; correct it, or remove the "
                "annotation",
                line,
            )


def _find_unlisted(raw: RawDataset, files: list[_JsonFile], seen: set[Path]) -> None:
    for folder in sorted({folder for file in files for folder in file.image_dirs if folder.parts}):
        for path in files_below(raw.root, folder, IMAGE_SUFFIXES):
            if path not in seen:
                seen.add(path)
                raw.warning("image_unlisted", path, "no annotation file lists it; it is left out")
