"""Pool `folder`: labelled images that the user already has, as large as the real train images."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from synthdata.config.pools import FolderPool, PoolConfig
from synthdata.config.sources import FolderSource
from synthdata.datasets.check import inspect_records
from synthdata.datasets.classes import with_classes
from synthdata.datasets.duplicates import SAME, Fingerprint, fingerprint, similar_pairs
from synthdata.datasets.sources import folder_fingerprint, read_source
from synthdata.datasets.write import write_images
from synthdata.errors import DatasetError
from synthdata.files import sha256_json
from synthdata.formats.assemble import BOX_CODES, assemble, raise_for
from synthdata.formats.images import read_rgb
from synthdata.formats.records import RawDataset
from synthdata.samples import DetectionDataset, Sample

logger = logging.getLogger(__name__)


def read_folder_pool(
    name: str,
    pool: FolderPool,
    *,
    train: DetectionDataset,
    held_out: DetectionDataset,
    out_dir: Path,
) -> list[Sample]:
    """Write the folder's images into `out_dir/images` and return their rows.

    Images get the size of the real train images where these have one in common, and keep their
    own otherwise.

    Args:
        name: The pool's; ids become `<name>-<id>`.
        pool: Where the images are.
        train: The real train split; its classes are found by name.
        held_out: Evaluation images, none of which may be in the pool.
        out_dir: Gets the images.

    Raises:
        DatasetError: If it isn't there, has errors, has objects of classes that are neither known
            nor ignored or none of the known ones, or holds an image of val or test.
    """
    try:
        raw = _read_as_train(pool)
        inspection = inspect_records(raw)
        repaired = [p for p in inspection.problems if pool.repair and p.code in BOX_CODES]
        raise_for([p for p in inspection.problems if p not in repaired], raw.root)
        labelled = assemble(raw, drop_bad_boxes=pool.repair)
        found, _ = with_classes(labelled, train.class_names, pool.ignore_classes)
        _refuse_leaks(inspection.prints, held_out)
    except DatasetError as error:
        raise DatasetError(f"pools.{name}: {error}") from error
    for problem in inspection.problems:
        dropped = "dropped the box: " if problem in repaired else ""
        logger.warning("pool %s: %s%s", name, dropped, problem)
    digest = sha256_json(pool.model_dump(mode="json"))
    samples = tuple(
        replace(
            sample,
            sample_id=f"{name}-{sample.sample_id}",
            origin="provided",
            pool=name,
            config_sha256=digest,
        )
        for sample in found
    )
    sizes = {(sample.width, sample.height) for sample in train}
    common = sizes.pop() if len(sizes) == 1 else None
    (out_dir / "images").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".tmp-") as temporary:
        written = write_images(
            replace(found, samples=samples),
            Path(temporary),
            size_of=lambda sample: common or (sample.width, sample.height),
        )
        for sample in written:
            written.image_path(sample).replace(out_dir / sample.path)
    return list(written.samples)


def _read_as_train(pool: FolderPool) -> RawDataset:
    """Return the folder's records as one split, so that an image may be in two of its own."""
    raw = read_source(FolderSource(kind="folder", path=pool.path, format=pool.format), Path())
    return replace(raw, images=[replace(image, split="train") for image in raw.images])


def _refuse_leaks(prints: Mapping[Path, Fingerprint], held_out: DetectionDataset) -> None:
    known = list(held_out)
    pairs = similar_pairs(
        [*(fingerprint(read_rgb(held_out.image_path(one))) for one in known), *prints.values()],
        [*["held out"] * len(known), *["pool"] * len(prints)],
    )
    files = list(prints)
    leaks = [(known[i], files[j - len(known)]) for i, j, found in pairs if found <= SAME]
    if leaks:
        sample, file = leaks[0]
        raise DatasetError(
            f"expected images that no detector is scored on, {len(leaks)} are, such as {file}, the "
            f"same picture as {sample.sample_id} of {sample.split}; remove them from the folder"
        )


def folder_fingerprints(pools: Mapping[str, PoolConfig]) -> str:
    """Return a digest of the images and labels in the pools' folders; "" without such a pool.

    Raises:
        DatasetError: If a folder isn't there.
    """
    found = {
        name: folder_fingerprint(pool.path, pool.format, setting=f"pools.{name}")
        for name, pool in pools.items()
        if isinstance(pool, FolderPool)
    }
    return sha256_json(found) if found else ""
