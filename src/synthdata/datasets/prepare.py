"""The `prepare` stage's work: real data, checked, split, drawn from and resized."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import FolderSource
from synthdata.datasets.check import inspect_records
from synthdata.datasets.counts import by_code, objects_by_class
from synthdata.datasets.duplicates import Fingerprint
from synthdata.datasets.groups import content_keys, torn_groups, with_groups
from synthdata.datasets.sources import read_source, source_fingerprint
from synthdata.datasets.splits import carve_splits, draw_few_shot, keep_first
from synthdata.datasets.write import write_images
from synthdata.errors import DatasetError
from synthdata.formats.assemble import BOX_CODES, assemble, raise_for
from synthdata.manifest import save_dataset
from synthdata.samples import DetectionDataset, Split

__all__ = ["prepare", "source_fingerprint"]

logger = logging.getLogger(__name__)


def prepare(section: PrepareConfig, *, raw_dir: Path, out_dir: Path) -> dict[str, Any]:
    """Write the real data that a run works on, as a data set with a manifest.

    Train is the few-shot draw and reserve the further train images that a ceiling may see;
    both follow `section.seed`. Val and test are the same whatever the seed. Images are
    upright RGB, as lossless PNG; resizing doesn't keep the aspect ratio.

    Args:
        section: What and how.
        raw_dir: Where fetched data sets are, or will be.
        out_dir: Gets `images/`, `annotations.json` and `manifest.parquet`.

    Returns:
        Images and objects a split, repairs and warnings by kind.

    Raises:
        DatasetError: If the data has errors (boxes are dropped instead where
            `section.repair` is set), is too small, or has no object in val or test; nothing is
            written then.
    """
    raw = read_source(section.source, raw_dir)
    inspection = inspect_records(raw)
    problems = inspection.problems
    repaired = [p for p in problems if section.repair and p.code in BOX_CODES]
    raise_for([p for p in problems if p not in repaired], raw.root)
    official = _split(
        assemble(raw, drop_bad_boxes=section.repair), section, prints=inspection.prints
    )
    problems += torn_groups(official, section.group_by)
    for problem in problems:
        logger.warning("%s%s", "dropped the box: " if problem in repaired else "", problem)
    source = _draw(official, section)
    _check_scorable(source)
    dataset = write_images(
        source, out_dir, size_of=lambda sample: section.image_size or (sample.width, sample.height)
    )
    save_dataset(dataset)
    return {
        "source": section.source.kind,
        "classes": list(dataset.class_names),
        "image_size": section.image_size,
        "repairs": by_code(repaired),
        "warnings": by_code(p for p in problems if p.level == "warning"),
        "objects_lost_by_resizing": _num_objects(source) - _num_objects(dataset),
        "splits": {split: _totals(dataset, split) for split in get_args(Split)},
    }


def _check_scorable(dataset: DetectionDataset) -> None:
    """Warn of classes that val or test can't score; refuse splits with nothing to find."""
    splits: tuple[Split, ...] = ("val", "test")
    for name in splits:
        totals = _totals(dataset, name)
        num_images, objects = totals["images"], totals["objects"]
        if not num_images:
            continue
        if not any(objects.values()):
            raise DatasetError(
                f"{name} has {num_images} images and no object to find, so no detector can be "
                "scored on it; label more of them, raise the split's fraction, or change "
                "prepare.source.split_seed"
            )
        absent = [class_name for class_name, number in objects.items() if not number]
        if absent:
            logger.warning("%s has no object of %s: mAP leaves it out", name, ", ".join(absent))


def _num_objects(dataset: DetectionDataset) -> int:
    return sum(len(sample.annotations) for sample in dataset)


def _totals(dataset: DetectionDataset, split: Split) -> dict[str, Any]:
    part = dataset.split(split)
    return {"images": len(part), "objects": objects_by_class(part)}


def _split(
    dataset: DetectionDataset, section: PrepareConfig, *, prints: Mapping[Path, Fingerprint]
) -> DetectionDataset:
    """Return all images in train, val and test, with the groups that they belong to."""
    if isinstance(section.source, FolderSource):
        dataset = carve_splits(
            dataset,
            fractions={"val": section.source.val_fraction, "test": section.source.test_fraction},
            keys=content_keys(dataset, prints, section.group_by),
            seed=section.source.split_seed,
        )
    return with_groups(dataset, prints, section.group_by)


def _draw(dataset: DetectionDataset, section: PrepareConfig) -> DetectionDataset:
    """Return the images that the run works on."""
    dataset = keep_first(dataset, split="val", number=section.val_images)
    dataset = keep_first(dataset, split="test", number=section.test_images)
    drawn, ceiling = section.train_images, section.ceiling_images
    return draw_few_shot(
        dataset,
        num_images=drawn,
        min_instances=section.min_instances,
        seed=section.seed,
        num_reserve=ceiling - drawn if ceiling is not None and drawn is not None else None,
    )
