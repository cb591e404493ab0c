"""The `prepare` stage's work: real data, checked, split, drawn from and resized."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from synthdata import boxes
from synthdata.config.prepare import FolderSource, PrepareConfig
from synthdata.datasets.check import check_records
from synthdata.datasets.duplicates import fingerprint, similar_pairs
from synthdata.datasets.sources import read_source, source_fingerprint
from synthdata.datasets.splits import carve_splits, draw_few_shot, keep_first
from synthdata.errors import DatasetError
from synthdata.files import replacing_dir, sha256_file
from synthdata.formats.assemble import BOX_CODES, assemble, raise_for
from synthdata.formats.images import read_rgb
from synthdata.formats.records import Problem
from synthdata.manifest import save_dataset
from synthdata.samples import DetectionDataset, Sample, Split

__all__ = ["prepare", "source_fingerprint"]

logger = logging.getLogger(__name__)


def prepare(section: PrepareConfig, *, raw_dir: Path, out_dir: Path) -> dict[str, Any]:
    """Write the real data that a run works on, as a data set with a manifest.

    Train is the few-shot draw and reserve the further train images that the oracle may see;
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
    problems = check_records(raw)
    repaired = [p for p in problems if section.repair and p.code in BOX_CODES]
    raise_for([p for p in problems if p not in repaired], raw.root)
    for problem in problems:
        logger.warning("%s%s", "dropped the box: " if problem in repaired else "", problem)
    source = _draw(assemble(raw, drop_bad_boxes=section.repair), section)
    _check_scorable(source)
    dataset = _write_images(source, section.image_size, out_dir)
    save_dataset(dataset)
    return {
        "source": section.source.kind,
        "classes": list(dataset.class_names),
        "image_size": section.image_size,
        "repairs": _by_code(repaired),
        "warnings": _by_code(p for p in problems if p.level == "warning"),
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


def _by_code(problems: Iterable[Problem]) -> dict[str, int]:
    return dict(Counter(problem.code for problem in problems))


def _num_objects(dataset: DetectionDataset) -> int:
    return sum(len(sample.annotations) for sample in dataset)


def _totals(dataset: DetectionDataset, split: Split) -> dict[str, Any]:
    samples = dataset.split(split).samples
    counts = [sample.annotations.counts(len(dataset.class_names)) for sample in samples]
    totals = np.sum(counts, axis=0, initial=0, dtype=int) if counts else []
    names = dataset.class_names
    objects = dict(zip(names, map(int, totals), strict=True)) if counts else dict.fromkeys(names, 0)
    return {"images": len(samples), "objects": objects}


def _draw(dataset: DetectionDataset, section: PrepareConfig) -> DetectionDataset:
    """Return the images that the run works on, with their splits."""
    if isinstance(section.source, FolderSource):
        dataset = carve_splits(
            dataset,
            fractions={"val": section.source.val_fraction, "test": section.source.test_fraction},
            keys=_content_keys(dataset),
            seed=section.source.split_seed,
        )
    dataset = keep_first(dataset, split="val", number=section.val_images)
    dataset = keep_first(dataset, split="test", number=section.test_images)
    drawn, oracle = section.train_images, section.oracle_images
    return draw_few_shot(
        dataset,
        num_images=drawn,
        min_instances=section.min_instances,
        seed=section.seed,
        num_reserve=oracle - drawn if oracle is not None and drawn is not None else None,
    )


def _content_keys(dataset: DetectionDataset) -> list[str]:
    """Return a key for each image: the digest of its file, or of one of its look-alikes.

    Images that look alike get the same key, so that they end up in the same split.
    """
    prints = [fingerprint(read_rgb(dataset.image_path(sample))) for sample in dataset]
    pairs = [(first, second) for first, second, _ in similar_pairs(prints)]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    size = len(dataset)
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    digests = [sha256_file(dataset.image_path(sample)) for sample in dataset]
    smallest: dict[int, str] = {}
    for name, digest in zip(group.tolist(), digests, strict=True):
        smallest[name] = min(digest, smallest.get(name, digest))
    return [smallest[name] for name in group.tolist()]


def _write_images(
    source: DetectionDataset, size: tuple[int, int] | None, out_dir: Path
) -> DetectionDataset:
    with replacing_dir(out_dir / "images") as folder:
        samples = tuple(
            _write_image(source, sample, size, folder)
            for sample in tqdm(source, desc="preparing images", unit="image", disable=None)
        )
    return replace(source, root=out_dir, samples=samples)


def _write_image(
    source: DetectionDataset, sample: Sample, size: tuple[int, int] | None, folder: Path
) -> Sample:
    image = read_rgb(source.image_path(sample))
    width, height = size or image.size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    path = folder / f"{sample.sample_id}.png"
    image.save(path)
    xyxy = boxes.scale(
        sample.annotations.xyxy, factor_x=width / sample.width, factor_y=height / sample.height
    )
    # What is smaller than a pixel now can't be seen, so no detector is asked for it.
    seen = (xyxy[:, 2:] - xyxy[:, :2]).min(axis=1, initial=np.inf) > 1
    return replace(
        sample,
        path=Path("images") / path.name,
        width=width,
        height=height,
        annotations=replace(sample.annotations, xyxy=xyxy).select(seen),
        sha256=sha256_file(path),
    )
