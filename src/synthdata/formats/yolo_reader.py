"""Reads YOLO folders as they stand; what is wrong is noted, never raised."""

import math
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from synthdata.formats.images import IMAGE_SUFFIXES
from synthdata.formats.paths import files_below, is_file
from synthdata.formats.plain_yaml import PlainYamlError, load_plain_yaml
from synthdata.formats.records import RawDataset, RawImage
from synthdata.samples import Split

_YAML = "data.yaml"
_SPLITS: tuple[Split, ...] = ("train", "reserve", "val", "test")


def parse_yolo(root: Path) -> RawDataset:
    """Return a YOLO folder's records and problems."""
    raw = RawDataset(root)
    config = _read_yaml(raw)
    if config is None:
        return raw
    raw.class_names = _class_names(raw, config)
    named = config.get("path") or "."
    base = raw.inside(named, base=Path(), file=_YAML) if _is_text(named, raw, "path") else None
    if base is None:
        return raw
    seen: dict[Path, Split] = {}
    for split in _SPLITS:
        entries = config.get(split) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            if _is_text(entry, raw, split):
                _parse_entry(raw, base, entry, split, seen)
    if not seen:
        raw.error("no_images", _YAML, "expected images under train, val or test, found none")
    _find_orphans(raw, set(seen))
    return raw


def _read_yaml(raw: RawDataset) -> dict[str, Any] | None:
    if not is_file(raw.root / _YAML):
        raw.error("file_missing", _YAML, f"expected {_YAML} with names, train and val; add it")
        return None
    text = raw.read_text(Path(_YAML))
    if text is None:
        return None
    try:
        config = load_plain_yaml(text, source=_YAML, aliases=False)
    except PlainYamlError as error:
        raw.error("syntax", _YAML, f"expected YAML, got: {error.problem}", error.line)
        return None
    if not isinstance(config, dict):
        raw.error("syntax", _YAML, "expected a mapping with names, train and val")
        return None
    return config


def _is_text(value: object, raw: RawDataset, key: str) -> TypeGuard[str]:
    """Return whether a value of data.yaml is text, or note that it isn't."""
    if isinstance(value, str):
        return True
    raw.error("syntax", _YAML, f"expected {key} to be text, got {reprlib.repr(value)}")
    return False


def _class_names(raw: RawDataset, config: dict[str, Any]) -> tuple[str, ...]:
    names = config.get("names")
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [name for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raw.error(
            "classes",
            _YAML,
            "expected names as a list of texts, or as a mapping from 0 up to texts, got "
            f"{reprlib.repr(names)}",
        )
        return ()
    found = tuple(str(name) for name in names)
    if len(set(found)) < len(found):
        raw.error("classes", _YAML, f"expected names that differ, got {reprlib.repr(found)}")
    if config.get("nc", len(found)) != len(found):
        nc = reprlib.repr(config["nc"])
        raw.error("classes", _YAML, f"expected nc {len(found)} as in names, got {nc}")
    return found


def _is_name(name: object) -> bool:
    """Return whether a class name can be shown: text, or a number or `yes` that stands for it."""
    return isinstance(name, str | int | float) and bool(str(name).strip())


def _parse_entry(
    raw: RawDataset, base: Path, entry: str, split: Split, seen: dict[Path, Split]
) -> None:
    """Read what one of `train`, `val`, `test` names: a folder, or a list of files."""
    target = raw.inside(entry, base=base, file=_YAML)
    if target is None:
        return
    if (raw.root / target).is_dir():
        paths = files_below(raw.root, target, IMAGE_SUFFIXES)
    elif target.suffix == ".txt" and is_file(raw.root / target):
        paths = list(_listed(raw, target, base))
    else:
        raw.error(
            "file_missing", _YAML, f"expected {split} to name a folder of images, got {entry!r}"
        )
        return
    for path in paths:
        if path not in seen:
            seen[path] = split
            raw.images.append(_parse_image(raw, path, split))
        elif seen[path] != split:
            raw.error(
                "duplicate_across_splits",
                path,
                f"expected each image in one split, this one is in {seen[path]} and {split}; "
                "remove it from one",
            )


def _listed(raw: RawDataset, list_file: Path, base: Path) -> Iterator[Path]:
    for line, text in enumerate((raw.read_text(list_file) or "").splitlines(), start=1):
        if text.strip():
            path = raw.inside(text.strip(), base=base, file=list_file.as_posix(), line=line)
            if path is not None:
                yield path


def _label_path(image: Path) -> Path:
    """Return where an image's labels are: the last `images` folder becomes `labels`."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _parse_image(raw: RawDataset, path: Path, split: Split) -> RawImage:
    header = raw.header(path)
    label_path = _label_path(path)
    rows, class_ids, lines = [], [], []
    text = raw.read_text(label_path) if raw.has(label_path) else None
    for line, content in enumerate((text or "").splitlines(), start=1):
        values = _parse_line(raw, label_path, line, content)
        if values is not None:
            class_ids.append(_class_id(raw, label_path, line, values[0]))
            rows.append(values[1:])
            lines.append(line)
    cxcywh = np.array(rows, np.float64).reshape(-1, 4)
    half = cxcywh[:, 2:] / 2
    with np.errstate(invalid="ignore"):  # infinity less infinity; found as not finite later
        xyxy = np.hstack([cxcywh[:, :2] - half, cxcywh[:, :2] + half])
    if header is not None:
        xyxy *= [header.width, header.height, header.width, header.height]
    return RawImage(
        path=path,
        split=split,
        header=header,
        xyxy=xyxy,
        class_id=np.array(class_ids, np.int64),
        label_file=label_path.as_posix(),
        lines=tuple(lines),
    )


def _parse_line(raw: RawDataset, file: Path, line: int, content: str) -> list[float] | None:
    parts = content.split()
    if not parts:
        return None
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 5:
        raw.error(
            "syntax",
            file,
            f"expected 'class_id centre_x centre_y width height', got {content[:80]!r}; "
            "polygons and confidences can't be read",
            line,
        )
        return None
    return values


def _class_id(raw: RawDataset, file: Path, line: int, value: float) -> int:
    if math.isfinite(value) and value == int(value) and 0 <= value < len(raw.class_names):
        return int(value)
    raw.error(
        "class_unknown",
        file,
        f"expected a class id from 0 to {len(raw.class_names) - 1}, got {value:g}; correct it, "
        f"or add the class to names in {_YAML}",
        line,
    )
    return -1


def _find_orphans(raw: RawDataset, images: set[Path]) -> None:
    """Note label files that belong to no image; tools' `classes.txt` are none."""
    expected = {_label_path(path) for path in images}
    folders = {path.parent for path in expected if "labels" in path.parts}
    for folder in sorted(folders):
        for path in files_below(raw.root, folder, frozenset({".txt"})):
            if path not in expected and path.name != "classes.txt":
                raw.error(
                    "label_without_image",
                    path,
                    f"expected an image {path.stem}.* for these labels, there is none; "
                    "add it or remove the labels",
                )
