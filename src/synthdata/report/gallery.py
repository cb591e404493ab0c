"""Images with their boxes, small enough to travel inside the page.

Boxes are handed on as numbers and drawn by the template over the picture, sharp at any
size. Which images are shown is decided by a hash of their names, never by their looks.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from PIL import Image

from synthdata.filters.kept import DECISIONS
from synthdata.manifest import load_dataset
from synthdata.report.run import Run
from synthdata.samples import DetectionDataset, Sample
from synthdata.seeding import derive_seed

_MAX_SIDE = 384  # px; two device pixels for each of a thumbnail's


@dataclass(frozen=True)
class Box:
    """One object, in the picture's own pixels."""

    x: float
    y: float
    width: float
    height: float
    class_id: int


@dataclass(frozen=True)
class Picture:
    """One image of the gallery.

    Attributes:
        name: Its sample id.
        uri: The pixels as a `data:` address.
        width: Pixels of the original.
        height: Pixels of the original.
        boxes: The objects it is labelled with.
        contents: "2 x RBC, 1 x WBC", for those who don't see it.
        note: Why it was rejected; empty otherwise.
    """

    name: str
    uri: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    contents: str
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """What is shown: title to pictures, and how many each group has in all."""

    groups: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)


def build_gallery(run: Run, *, num_images: int) -> Gallery:
    """Return real images beside those of each pool of the first repetition.

    Of a pool that was filtered, kept and rejected images are apart.

    Args:
        run: The finished run.
        num_images: Of the real group and of each pool; rejected groups show a third.
    """
    prepared = load_dataset(run.first("prepare").path)
    wanted = [_Wanted("Real, train", prepared, prepared.split("train").samples, num_images)]
    if run.has("generate"):
        made = load_dataset(run.first("generate").path)
        for pool in dict.fromkeys(sample.pool for sample in made):
            wanted += _of_pool(run, pool, made.where(pool=pool), num_images)
    groups = {
        one.title: tuple(
            _picture(one.dataset, sample, one.notes.get(sample.sample_id, ""))
            for sample in _pick(one.samples, one.count)
        )
        for one in wanted
    }
    return Gallery(groups, {one.title: len(one.samples) for one in wanted})


@dataclass(frozen=True)
class _Wanted:
    """A group of pictures to be."""

    title: str
    dataset: DetectionDataset
    samples: Sequence[Sample]
    count: int
    notes: Mapping[str, str] = field(default_factory=dict)


def _of_pool(run: Run, pool: str, made: DetectionDataset, num_images: int) -> list[_Wanted]:
    path = run.first("filter").path / pool / DECISIONS if run.has("filter") else None
    if path is None or not path.is_file():
        return [_Wanted(f"Pool {pool}", made, made.samples, num_images)]
    decisions = pd.read_parquet(path)
    reasons = dict(zip(decisions["sample_id"], decisions["reason"].fillna(""), strict=True))
    kept = set(decisions.loc[decisions["kept"], "sample_id"])
    rejected = [sample for sample in made if sample.sample_id not in kept]
    return [
        _Wanted(
            f"Pool {pool}, kept by the filter",
            made,
            [sample for sample in made if sample.sample_id in kept],
            num_images,
        ),
        _Wanted(f"Pool {pool}, rejected", made, rejected, max(num_images // 3, 3), reasons),
    ]


def _pick(samples: Sequence[Sample], count: int) -> list[Sample]:
    by_hash = sorted(samples, key=lambda sample: derive_seed(0, "gallery", sample.sample_id))
    return sorted(by_hash[:count], key=lambda sample: sample.sample_id)


def _picture(dataset: DetectionDataset, sample: Sample, note: str) -> Picture:
    objects = sample.annotations
    counts = objects.counts(len(dataset.class_names))
    named = [
        f"{n} \N{MULTIPLICATION SIGN} {name}"
        for name, n in zip(dataset.class_names, counts, strict=True)
        if n
    ]
    return Picture(
        name=sample.sample_id,
        uri=_data_uri(dataset, sample),
        width=sample.width,
        height=sample.height,
        boxes=tuple(
            Box(float(x0), float(y0), float(x1 - x0), float(y1 - y0), int(class_id))
            for (x0, y0, x1, y1), class_id in zip(objects.xyxy, objects.class_id, strict=True)
        ),
        contents=", ".join(named) or "no objects",
        note=note,
    )


def _data_uri(dataset: DetectionDataset, sample: Sample) -> str:
    with Image.open(dataset.image_path(sample)) as image:
        small = image.convert("RGB")
        small.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
