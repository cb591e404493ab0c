"""`synthdata data check`: everything wrong with a data set, in one pass, writing nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from synthdata.datasets.duplicates import SAME, Fingerprint, fingerprint, similar_pairs
from synthdata.formats.assemble import record_problems
from synthdata.formats.images import ImageFileError, read_rgb
from synthdata.formats.records import Problem, RawDataset, RawImage
from synthdata.formats.registry import FormatName, parse_dataset


def check_dataset(path: Path, format_name: FormatName) -> list[Problem]:
    """Return every problem of a data set, by file and line.

    Args:
        path: The data set's folder.
        format_name: Its format.

    Raises:
        DatasetError: If there is no such folder.
    """
    return inspect_records(parse_dataset(path, format_name)).problems


@dataclass(frozen=True)
class Inspection:
    """What a look at every image of a data set found.

    Attributes:
        problems: By file and line.
        prints: Fingerprint of each image that can be read, by its path.
    """

    problems: list[Problem]
    prints: Mapping[Path, Fingerprint]


def inspect_records(raw: RawDataset) -> Inspection:
    """Return every problem of a data set that was parsed already, and its images' fingerprints.

    Every image is decoded, one at a time, except those over PIL's size limit.
    """
    problems = record_problems(raw)
    prints: dict[Path, Fingerprint] = {}
    for image in tqdm(raw.images, desc="checking images", unit="image", disable=None):
        if image.header is None:
            continue
        try:
            prints[image.path] = fingerprint(read_rgb(raw.root / image.path))
        except ImageFileError as error:
            problems.append(Problem("error", error.code, image.path.as_posix(), None, str(error)))
    problems += _duplicates(raw, prints)
    problems += [_no_labels(image) for image in raw.images if not len(image.xyxy)]
    problems += _unused_classes(raw)
    ordered = sorted(set(problems), key=lambda p: (p.file, p.line or 0, p.code, p.message))
    return Inspection(ordered, prints)


def _duplicates(raw: RawDataset, prints: Mapping[Path, Fingerprint]) -> list[Problem]:
    images = [image for image in raw.images if image.path in prints]
    pairs = similar_pairs([prints[i.path] for i in images], [i.split for i in images])
    return [
        _duplicate(images[first], images[second], same=found <= SAME)
        for first, second, found in pairs
    ]


def _duplicate(first: RawImage, second: RawImage, *, same: bool) -> Problem:
    other = f"{first.path.as_posix()} in {first.split}"
    if same:
        message = (
            f"expected each image in one split, this one in {second.split} is the same picture as "
            f"{other}; remove it from one"
        )
        return Problem("error", "duplicate_across_splits", second.path.as_posix(), None, message)
    message = (
        f"this image in {second.split} looks much like {other}: one scene photographed twice, or "
        "a crop? If so, put both into one split"
    )
    return Problem("warning", "alike_across_splits", second.path.as_posix(), None, message)


def _no_labels(image: RawImage) -> Problem:
    message = f"no object is labelled in {image.label_file}; it counts as background"
    return Problem("warning", "image_without_labels", image.path.as_posix(), None, message)


def _unused_classes(raw: RawDataset) -> list[Problem]:
    used = {int(class_id) for image in raw.images for class_id in image.class_id}
    return [
        Problem("warning", "class_unused", ".", None, f"no object is of the class {name!r}")
        for class_id, name in enumerate(raw.class_names)
        if class_id not in used
    ]
