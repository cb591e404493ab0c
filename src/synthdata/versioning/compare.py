"""Two versions of a data set side by side: images, boxes, classes and metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from synthdata.files import read_json
from synthdata.samples import Annotations, DetectionDataset
from synthdata.versioning.objects import ClassChanges, class_changes
from synthdata.versioning.sources import open_version, read_version, verified_digests

_METRIC_FILES = ("card.json", "metrics.json")
_SHOWN_IDS = 5


@dataclass(frozen=True)
class ImageChanges:
    """Sample ids; `changed` are in both with other bytes."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side.

    Attributes:
        version_a: As it was named.
        version_b: As it was named.
        images: Changes from A to B.
        classes: One entry a class of either version.
        metrics: Number in A and in B by dotted name, None where one has it not.
    """

    version_a: str
    version_b: str
    images: ImageChanges
    classes: tuple[ClassChanges, ...]
    metrics: Mapping[str, tuple[float | None, float | None]]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def compare_versions(
    version_a: str | Path, version_b: str | Path, *, workspace: Path = Path()
) -> Comparison:
    """Compare two versions of a data set.

    Images are the same if their ids are, and unchanged if their bytes are. Objects of an
    image in both versions are matched one to one by IoU, at least 0.5, so that the sum is
    largest. A file that isn't what its own version says of it was damaged or edited since, which
    is no change from A to B: such a version is refused.

    Args:
        version_a: The earlier one: a folder, or `REV:PATH` (see `open_version`).
        version_b: The later one.
        workspace: What PATH is relative to.

    Raises:
        VersioningError: If a version can't be found, or a file of it differs from its manifest,
            or from what DVC recorded.
        DatasetError: If one isn't a data set.
    """
    with (
        open_version(version_a, workspace=workspace) as folder_a,
        open_version(version_b, workspace=workspace) as folder_b,
    ):
        a, b = read_version(folder_a), read_version(folder_b)
        names = tuple(dict.fromkeys([*a.class_names, *b.class_names]))
        numbers_a, numbers_b = _numbers_in(folder_a), _numbers_in(folder_b)
        return Comparison(
            version_a=str(version_a),
            version_b=str(version_b),
            images=_image_changes(a, b),
            classes=class_changes(_objects(a, names), _objects(b, names), names),
            metrics={
                name: (numbers_a.get(name), numbers_b.get(name))
                for name in dict.fromkeys([*numbers_a, *numbers_b])
            },
        )


def _objects(dataset: DetectionDataset, names: tuple[str, ...]) -> dict[str, Annotations]:
    """Return each image's objects, with class ids that index `names`."""
    position = np.array([names.index(name) for name in dataset.class_names], np.int64)
    return {
        sample.sample_id: Annotations(
            sample.annotations.xyxy, position[sample.annotations.class_id]
        )
        for sample in dataset
    }


def _image_changes(a: DetectionDataset, b: DetectionDataset) -> ImageChanges:
    in_a = {sample.sample_id: sample for sample in a}
    in_b = {sample.sample_id: sample for sample in b}
    common = [i for i in in_a if i in in_b]
    digests_a, digests_b = verified_digests(a), verified_digests(b)
    changed = tuple(i for i in common if digests_a[i] != digests_b[i])
    return ImageChanges(
        added=tuple(i for i in in_b if i not in in_a),
        removed=tuple(i for i in in_a if i not in in_b),
        changed=changed,
        unchanged=len(common) - len(changed),
    )


def _numbers_in(folder: Path) -> dict[str, float]:
    return {
        name: value
        for file in _METRIC_FILES
        if (folder / file).is_file()
        for name, value in _flat(read_json(folder / file), Path(file).stem)
    }


def _flat(value: object, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def render(comparison: Comparison) -> Group:
    """Return tables for the terminal; of the metrics, those that differ."""
    images = comparison.images
    image_table = Table("images", "number", "ids", title="A → B", title_justify="left")
    for kind in ("added", "removed", "changed"):
        ids: tuple[str, ...] = getattr(images, kind)
        more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
        image_table.add_row(kind, str(len(ids)), escape(", ".join(ids[:_SHOWN_IDS]) + more))
    image_table.add_row("unchanged", str(images.unchanged), "")

    columns = ("class", "objects in A", "objects in B", "difference", "added", "removed", "changed")
    class_table = Table(*columns, caption="added, removed, changed: in images of both versions")
    for entry in comparison.classes:
        numbers = (entry.objects_a, entry.objects_b, f"{entry.objects_b - entry.objects_a:+}")
        changes = (entry.added, entry.removed, entry.changed)
        class_table.add_row(escape(entry.class_name), *map(str, numbers + changes))

    differing = {name: pair for name, pair in comparison.metrics.items() if pair[0] != pair[1]}
    equal = len(comparison.metrics) - len(differing)
    metric_table = Table("metric", "A", "B", "difference", caption=f"{equal} more are equal")
    for name, (a, b) in differing.items():
        difference = "" if a is None or b is None else f"{b - a:+.6g}"
        metric_table.add_row(escape(name), _number(a), _number(b), difference)
    header = escape(f"A: {comparison.version_a}\nB: {comparison.version_b}\n")
    tables = [image_table, class_table, *([metric_table] if differing else [])]
    return Group(header, *tables)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
