"""Where a data set version to compare comes from: a folder, or a Git revision of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthdata.errors import DatasetError, VersioningError
from synthdata.formats.coco import load_coco
from synthdata.manifest import ANNOTATIONS, MANIFEST, load_dataset
from synthdata.samples import DetectionDataset
from synthdata.versioning.dvc import dvc_root, run_dvc


@contextmanager
def open_version(version: str | Path, *, workspace: Path) -> Iterator[Path]:
    """Yield the folder of a version; one that is fetched lasts as long as the block.

    Args:
        version: A folder, or `REV:PATH`: a Git revision, branch or tag, and a folder that DVC
            or Git tracks, such as `v1:data/versions/bccd-24/seed-0/arms/real`.
        workspace: What PATH is relative to, in a DVC repository.

    Raises:
        VersioningError: If it is neither, or DVC can't get it.
    """
    if Path(version).is_dir():
        yield Path(version)
        return
    revision, colon, path = str(version).partition(":")
    if not (colon and revision and path):
        raise VersioningError(
            f"{str(version)!r} must be a folder, or REV:PATH such as "
            "v1:data/versions/quickstart/seed-0/arms/real"
        )
    root = dvc_root(workspace.resolve())
    if root is None:
        raise VersioningError(
            f"{str(version)!r} is neither a folder nor can it be a Git revision, since "
            f"{workspace.resolve()} is in no DVC repository; run the command in the repository"
        )
    with tempfile.TemporaryDirectory(prefix="synthdata-") as temporary:
        target = Path(temporary) / "version"
        inside = Path(os.path.relpath(workspace.resolve() / path, root)).as_posix()
        run_dvc([["get", "--rev", revision, "--out", str(target), str(root), inside]], root)
        yield target


def read_version(folder: Path) -> DetectionDataset:
    """Return the data set in a stage's folder, an arm's, or any COCO folder.

    Raises:
        DatasetError: If there is none, or it can't be read, with every problem found.
    """
    if (folder / MANIFEST).is_file():
        return load_dataset(folder)
    if (folder / ANNOTATIONS).is_file() or (folder / "annotations").is_dir():
        return load_coco(folder)
    inside = sorted(path.parent for path in folder.glob(f"**/{ANNOTATIONS}"))
    hint = ", ".join(path.relative_to(folder).as_posix() for path in inside[:8])
    raise DatasetError(
        f"{folder} must hold {MANIFEST}, or COCO's {ANNOTATIONS} and images/"
        + (f"; name one of the data sets in it: {hint}" if inside else "")
    )
