"""The real data that a config names: where it is, and whether it changed."""

import hashlib
from pathlib import Path

from synthdata.config.prepare import BccdSource, DigitsSource, FolderSource, PrepareConfig
from synthdata.datasets.digits import digits_key
from synthdata.datasets.fetch import (
    BCCD_CLASSES,
    BCCD_TREE_SHA256,
    fetch_bccd,
    fetch_digits,
    tree_sha256,
)
from synthdata.errors import DatasetError
from synthdata.files import sha256_file
from synthdata.formats.coco_reader import parse_coco
from synthdata.formats.paths import is_file
from synthdata.formats.records import RawDataset
from synthdata.formats.registry import parse_dataset
from synthdata.formats.voc_reader import parse_voc

Source = DigitsSource | BccdSource | FolderSource


def read_source(source: Source, raw_dir: Path) -> RawDataset:
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
        return parse_voc(fetch_bccd(raw_dir), class_names=BCCD_CLASSES)
    return parse_dataset(source.path, source.format)


def source_fingerprint(section: PrepareConfig, raw_dir: Path) -> str:
    """Return a digest of the source data, which changes when the data does.

    A data set that isn't fetched yet has the digest that it will have. For a user's folder
    the digest covers the path and content of each file in it, but for hidden ones.

    Raises:
        DatasetError: If the user's folder isn't there, or a file in it can't be read.
    """
    source = section.source
    if isinstance(source, DigitsSource):
        return digits_key(source)
    if isinstance(source, BccdSource):
        folder = raw_dir / "bccd"
        return tree_sha256(folder) if folder.is_dir() else BCCD_TREE_SHA256
    if not source.path.is_dir():
        raise DatasetError(
            f"expected the folder of a {source.format} data set, {source.path} is none; "
            "correct prepare.source.path"
        )
    digest = hashlib.sha256()
    for path in sorted(source.path.rglob("*")):
        if path.name.startswith(".") or not is_file(path):
            continue
        try:
            content = sha256_file(path)
        except OSError as error:
            raise DatasetError(f"expected a readable file, got: {error}") from error
        name = path.relative_to(source.path).as_posix()
        # A name that isn't UTF-8 is for the check to refuse.
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
