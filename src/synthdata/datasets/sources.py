"""The real data that a config names: where it is, and whether it changed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from synthdata.config.evaluation import ShiftedSetConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import BccdSource, DigitsSource, ShiftedSource, TxlPbcSource
from synthdata.datasets.archives import fetch_archive
from synthdata.datasets.blood_smears import BCCD, BCCD_CLASSES, TXL_PBC
from synthdata.datasets.digits import digits_key
from synthdata.datasets.fetch import fetch_digits
from synthdata.errors import DatasetError
from synthdata.files import sha256_file, sha256_json
from synthdata.formats.coco_reader import parse_coco
from synthdata.formats.paths import is_file
from synthdata.formats.records import RawDataset
from synthdata.formats.registry import parse_dataset
from synthdata.formats.voc_reader import parse_voc
from synthdata.formats.yolo_reader import parse_yolo
from synthdata.samples import Split


def read_source(source: ShiftedSource, raw_dir: Path) -> RawDataset:
    """Return the records of a source, fetched first where that is needed.

    Args:
        source: A folder's relative path counts from the current folder, the workspace.
        raw_dir: Where fetched data sets are, or will be.

    Raises:
        DatasetError: If it can't be fetched, or isn't there.
    """
    if isinstance(source, DigitsSource):
        return parse_coco(fetch_digits(source, raw_dir))
    if isinstance(source, BccdSource):
        return parse_voc(fetch_archive(BCCD, raw_dir), class_names=BCCD_CLASSES)
    if isinstance(source, TxlPbcSource):
        return parse_yolo(fetch_archive(TXL_PBC, raw_dir) / source.laboratory)
    return parse_dataset(source.path, source.format)


def shifted_source(config: ShiftedSetConfig) -> tuple[ShiftedSource, Split | None]:
    """Return the data set that a shifted set is read from, and which of its splits.

    Of digits nothing is drawn but the split that is asked for, test if none is, and one scene
    each of the others, which a data set of its own has to have.
    """
    source, split = config.source, config.split
    if not isinstance(source, DigitsSource):
        return source, split
    kept = split or "test"
    others = {f"num_{name}": 1 for name in ("train", "val", "test") if name != kept}
    return source.model_copy(update=others), kept


def source_fingerprint(section: PrepareConfig, raw_dir: Path) -> str:
    """Return a digest of the source data; it changes when the data does.

    A data set that isn't fetched yet has the digest that it will have. For a user's folder
    the digest covers the path and content of each file in it, but for hidden ones.

    Raises:
        DatasetError: If a user's folder isn't there, or a file in it can't be read.
    """
    return _fingerprint(section.source, raw_dir, setting="prepare.source")


def shifted_fingerprint(sets: Mapping[str, ShiftedSetConfig], raw_dir: Path) -> str:
    """Return a digest of the data of shifted sets, as `source_fingerprint` does; "" without sets.

    Raises:
        DatasetError: If a user's folder isn't there, or a file in it can't be read.
    """
    if not sets:
        return ""
    digests = {
        name: _fingerprint(
            shifted_source(config)[0], raw_dir, setting=f"evaluation.shifted.{name}.source"
        )
        for name, config in sets.items()
    }
    return sha256_json(digests)


def _fingerprint(source: ShiftedSource, raw_dir: Path, *, setting: str) -> str:
    if isinstance(source, DigitsSource):
        return digits_key(source)
    if isinstance(source, BccdSource):
        return BCCD.fingerprint(raw_dir)
    if isinstance(source, TxlPbcSource):
        return TXL_PBC.fingerprint(raw_dir)
    return folder_fingerprint(source.path, source.format, setting=setting)


def folder_fingerprint(folder: Path, format_name: str, *, setting: str) -> str:
    """Return a digest of the path and content of each file in a folder, but for hidden ones.

    Raises:
        DatasetError: If it isn't there; `setting` is part of the config that names it.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"expected the folder of a {format_name} data set, {folder} is none; "
            f"correct {setting}.path"
        )
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not is_file(path):
            continue
        try:
            content = sha256_file(path)
        except OSError as error:
            raise DatasetError(f"expected a readable file, got: {error}") from error
        name = path.relative_to(folder).as_posix()
        # A name that isn't UTF-8 is for the check to refuse.
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
