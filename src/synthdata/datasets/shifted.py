"""Shifted evaluation sets: the run's classes under other conditions, at the run's scale."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from synthdata.config.evaluation import ShiftedSetConfig
from synthdata.datasets.check import inspect_records
from synthdata.datasets.classes import with_classes
from synthdata.datasets.counts import by_code, objects_by_class
from synthdata.datasets.duplicates import SAME, Fingerprint, similar_pairs
from synthdata.datasets.groups import with_groups
from synthdata.datasets.sources import read_source, shifted_source
from synthdata.datasets.splits import keep_first
from synthdata.datasets.write import write_images
from synthdata.errors import DatasetError
from synthdata.files import replacing_dir
from synthdata.formats.assemble import BOX_CODES, assemble, raise_for
from synthdata.formats.records import Problem, RawDataset
from synthdata.manifest import MANIFEST, load_dataset, save_dataset
from synthdata.samples import DetectionDataset, Sample

SHIFTED = "shifted"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShiftedSet:
    """A shifted set that was read and found sound, and isn't written yet.

    Attributes:
        name: In the config.
        scale: Factor on its images' width and height.
        dataset: The source's files, with the run's classes, as split "test".
        metrics: What was found: repairs, warnings and ignored objects, by kind.
    """

    name: str
    scale: float
    dataset: DetectionDataset
    metrics: Mapping[str, Any]


def read_shifted(
    name: str,
    config: ShiftedSetConfig,
    *,
    run: DetectionDataset,
    run_prints: Mapping[Path, Fingerprint],
    raw_dir: Path,
) -> ShiftedSet:
    """Return a shifted set, checked on its own and against the run's images.

    An image that is one of train is an error. One that looks like one of train, or that is or
    looks like one of val or test (such as a test image made darker), is a warning.

    Args:
        name: In the config; ids become `<name>-<id>`.
        config: What and how.
        run: All images of the run's data set, with their splits.
        run_prints: Their fingerprints, by path.
        raw_dir: Where fetched data sets are, or will be.

    Raises:
        DatasetError: If it isn't there, has errors, has objects of classes that are neither
            the run's nor ignored, or has none of the run's.
    """
    try:
        return _read(name, config, run=run, run_prints=run_prints, raw_dir=raw_dir)
    except DatasetError as error:
        raise DatasetError(f"evaluation.shifted.{name}: {error}") from error


def _read(
    name: str,
    config: ShiftedSetConfig,
    *,
    run: DetectionDataset,
    run_prints: Mapping[Path, Fingerprint],
    raw_dir: Path,
) -> ShiftedSet:
    raw = _as_test(config, raw_dir)
    inspection = inspect_records(raw)
    # What matters is whether the run's classes have objects, which is told below.
    problems = [p for p in inspection.problems if p.code != "class_unused"]
    problems += _leaks(inspection.prints, run, run_prints)
    repaired = [p for p in problems if config.repair and p.code in BOX_CODES]
    raise_for([p for p in problems if p not in repaired], raw.root)
    found = assemble(raw, drop_bad_boxes=config.repair)
    dataset, ignored = with_classes(found, run.class_names, config.ignore_classes)
    dataset = keep_first(dataset, split="test", number=config.max_images)
    dataset = _with_ids(with_groups(dataset, inspection.prints, config.group_by), name, run)
    problems += _absent_classes(dataset)
    for problem in problems:
        dropped = "dropped the box: " if problem in repaired else ""
        logger.warning("%s: %s%s", name, dropped, problem)
    metrics = {
        "source": config.source.kind,
        "scale": config.scale,
        "repairs": by_code(repaired),
        "warnings": by_code(p for p in problems if p.level == "warning"),
        "ignored": ignored,
    }
    return ShiftedSet(name, config.scale, dataset, metrics)


def write_shifted(sets: Sequence[ShiftedSet], out_dir: Path) -> dict[str, Any]:
    """Write each set as a data set of its own, `<out_dir>/shifted/<name>`, all or nothing.

    Older ones are removed, also where there is none now.

    Returns:
        By name: images, groups and objects, and what reading found.

    Raises:
        DatasetError: If scaling leaves no object that can be seen.
    """
    if not sets:
        shutil.rmtree(out_dir / SHIFTED, ignore_errors=True)
        return {}
    with replacing_dir(out_dir / SHIFTED) as folder:
        return {one.name: _write(one, folder / one.name) for one in sets}


def load_shifted(prepare_dir: Path) -> dict[str, DetectionDataset]:
    """Return the shifted evaluation sets that `prepare` wrote, by name; all of split "test".

    Raises:
        DatasetError: If one of them is damaged.
    """
    manifests = sorted((prepare_dir / SHIFTED).glob(f"*/{MANIFEST}"))
    return {path.parent.name: load_dataset(path.parent) for path in manifests}


def _as_test(config: ShiftedSetConfig, raw_dir: Path) -> RawDataset:
    """Return the images that are asked for, as one split: together they are one set."""
    source, split = shifted_source(config)
    raw = read_source(source, raw_dir)
    images = [replace(i, split="test") for i in raw.images if split in (None, i.split)]
    if raw.images and not images:
        there = ", ".join(sorted({image.split for image in raw.images}))
        raise DatasetError(f"expected images in the split {split!r}, {raw.root} has {there} only")
    return replace(raw, images=images)


def _leaks(
    prints: Mapping[Path, Fingerprint],
    run: DetectionDataset,
    run_prints: Mapping[Path, Fingerprint],
) -> list[Problem]:
    files, known = list(prints), list(run)
    pairs = similar_pairs(
        [*(run_prints[sample.path] for sample in known), *prints.values()],
        [*["run"] * len(known), *["shifted"] * len(files)],
    )
    return [
        _leak(files[second - len(known)], known[first], same=found <= SAME)
        for first, second, found in pairs
    ]


def _leak(file: Path, known: Sample, *, same: bool) -> Problem:
    other = f"{known.path.as_posix()} in the run's {known.split}"
    kind = "same_as" if same else "like"
    code = f"{kind}_{known.split}_image"
    if same and known.split == "train":
        message = (
            f"expected images that no detector was trained on, this one is the same picture as "
            f"{other}; remove it from one"
        )
        return Problem("error", code, file.as_posix(), None, message)
    verb = "is the same picture as" if same else "looks much like"
    return Problem("warning", code, file.as_posix(), None, f"this image {verb} {other}")


def _with_ids(dataset: DetectionDataset, name: str, run: DetectionDataset) -> DetectionDataset:
    samples = tuple(replace(s, sample_id=f"{name}-{s.sample_id}") for s in dataset)
    clash = {s.sample_id for s in samples} & {s.sample_id for s in run}
    if clash:
        raise DatasetError(
            f"{min(clash)!r} is an image of the run already; give the set another name"
        )
    return replace(dataset, samples=samples)


def _absent_classes(dataset: DetectionDataset) -> list[Problem]:
    return [
        Problem("warning", "class_absent", ".", None, f"no object of {name!r}: mAP leaves it out")
        for name, number in objects_by_class(dataset).items()
        if not number
    ]


def _write(one: ShiftedSet, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    dataset = write_images(one.dataset, folder, size_of=partial(_scaled, scale=one.scale))
    if not any(len(sample.annotations) for sample in dataset):
        raise DatasetError(
            f"evaluation.shifted.{one.name}: at scale {one.scale} no object is larger than a "
            "pixel; raise scale"
        )
    save_dataset(dataset)
    before, after = (sum(objects_by_class(part).values()) for part in (one.dataset, dataset))
    return {
        "images": len(dataset),
        "groups": len(set(dataset.groups())),
        "objects": objects_by_class(dataset),
        "objects_lost_by_resizing": before - after,
        **one.metrics,
    }


def _scaled(sample: Sample, *, scale: float) -> tuple[int, int]:
    return max(1, round(sample.width * scale)), max(1, round(sample.height * scale))
