"""Shifted evaluation sets: the run's classes under other conditions, at the run's scale."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from synthdata.config.evaluation import ShiftedSetConfig
from synthdata.datasets.check import inspect_records
from synthdata.datasets.classes import with_classes
from synthdata.datasets.counts import by_code, objects_by_class
from synthdata.datasets.duplicates import SAME, Fingerprint, fingerprint, similar_pairs
from synthdata.datasets.groups import with_groups
from synthdata.datasets.sources import read_source, shifted_source
from synthdata.datasets.splits import keep_first
from synthdata.datasets.write import write_images
from synthdata.errors import DatasetError
from synthdata.formats.assemble import BOX_CODES, assemble, raise_for
from synthdata.formats.images import ImageFileError, read_rgb
from synthdata.formats.records import Problem, RawDataset
from synthdata.manifest import save_dataset
from synthdata.samples import DetectionDataset, Sample

_TRAINED_ON = ("train", "reserve")

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
    sets: Mapping[str, ShiftedSetConfig], *, run: DetectionDataset, raw_dir: Path
) -> dict[str, ShiftedSet]:
    """Return shifted sets by name, each checked on its own and against the run's images.

    An image that is one of train or reserve is an error. One that looks like one of these, or that
    is or looks like one of val or test (such as a test image made darker), is a warning. Train
    images of the source outside of the draw and the reserve aren't compared, since nothing is
    trained on them.

    Args:
        sets: What and how, by name; a set's ids become `<name>-<id>`.
        run: The prepared data set, all splits.
        raw_dir: Where fetched data sets are, or will be.

    Raises:
        DatasetError: If a set isn't there, has errors, has objects of classes that are neither the
            run's nor ignored, or has none of the run's; or if an image of the run can't be read.
    """
    run_prints = _run_prints(run) if sets else []
    found = {}
    for name, config in sets.items():
        try:
            found[name] = _read(name, config, run=run, run_prints=run_prints, raw_dir=raw_dir)
        except DatasetError as error:
            raise DatasetError(f"evaluation.shifted.{name}: {error}") from error
    return found


def _run_prints(run: DetectionDataset) -> list[Fingerprint]:
    try:
        return [fingerprint(read_rgb(run.image_path(sample))) for sample in run]
    except (ImageFileError, OSError) as error:
        raise DatasetError(
            f"expected the run's prepared images, got: {error}; one was changed, cut or lost after "
            "its stage was done: remove that stage's folder and run it again"
        ) from error


def _read(
    name: str,
    config: ShiftedSetConfig,
    *,
    run: DetectionDataset,
    run_prints: Sequence[Fingerprint],
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


def write_shifted(one: ShiftedSet, folder: Path) -> tuple[DetectionDataset, dict[str, Any]]:
    """Write a shifted set's images, scaled, and its manifest into an empty folder.

    Returns:
        The data set as written; images, groups, objects, and what reading found.

    Raises:
        DatasetError: If scaling leaves no object that can be seen.
    """
    dataset = write_images(one.dataset, folder, size_of=partial(_scaled, scale=one.scale))
    if not any(len(sample.annotations) for sample in dataset):
        raise DatasetError(
            f"evaluation.shifted.{one.name}: at scale {one.scale} no object is larger than a "
            "pixel; raise scale"
        )
    save_dataset(dataset)
    before, after = (sum(objects_by_class(part).values()) for part in (one.dataset, dataset))
    return dataset, {
        "images": len(dataset),
        "groups": len(set(dataset.groups())),
        "objects": objects_by_class(dataset),
        "objects_lost_by_resizing": before - after,
        **one.metrics,
    }


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
    run_prints: Sequence[Fingerprint],
) -> list[Problem]:
    files, known = list(prints), list(run)
    pairs = similar_pairs(
        [*run_prints, *prints.values()],
        [*["run"] * len(known), *["shifted"] * len(files)],
    )
    return [
        _leak(files[second - len(known)], known[first], same=found <= SAME)
        for first, second, found in pairs
    ]


def _leak(file: Path, known: Sample, *, same: bool) -> Problem:
    other = f"{known.sample_id!r} in the run's {known.split}"
    kind = "same_as" if same else "like"
    code = f"{kind}_{known.split}_image"
    if same and known.split in _TRAINED_ON:
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


def _scaled(sample: Sample, *, scale: float) -> tuple[int, int]:
    return max(1, round(sample.width * scale)), max(1, round(sample.height * scale))
