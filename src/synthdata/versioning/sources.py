"""Where a data set version to compare comes from: a folder, or a Git revision of one.

A version is used only if its files are what it says of them: the manifest knows the digest of
each image, and DVC that of every file at a revision.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthdata.errors import DatasetError, VersioningError
from synthdata.files import sha256_file
from synthdata.formats.coco import load_coco
from synthdata.manifest import ANNOTATIONS, MANIFEST, load_dataset
from synthdata.samples import DetectionDataset
from synthdata.versioning.dvc import dvc_root, run_dvc

_SHOWN = 5


@contextmanager
def open_version(version: str | Path, *, workspace: Path) -> Iterator[Path]:
    """Yield the folder of a version; one that is fetched lasts as long as the block.

    Args:
        version: A folder, or `REV:PATH`: a Git revision, branch or tag, and a folder that DVC
            or Git tracks, such as `v1:data/versions/bccd-24/seed-0/arms/real`.
        workspace: What PATH is relative to, in a DVC repository.

    Raises:
        VersioningError: If it is neither, DVC can't get it, or gets files that aren't what was
            recorded, as from a damaged cache or remote.
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
        place = [str(root), Path(os.path.relpath(workspace.resolve() / path, root)).as_posix()]
        printed = run_dvc(
            [
                ["get", "--rev", revision, "--out", str(target), *place],
                ["list", "--recursive", "--json", "--show-hash", "--rev", revision, *place],
            ],
            root,
        )
        if target.is_dir():
            _refuse_damaged(target, json.loads(printed.splitlines()[-1]), str(version))
        yield target


def _refuse_damaged(folder: Path, listing: Sequence[dict[str, Any]], version: str) -> None:
    """Refuse files that aren't what DVC recorded, since `dvc get` takes them unseen.

    Args:
        folder: What DVC got.
        listing: What `dvc list` says of it: `path` and `md5`, None for files of Git's.
        version: As it was named.
    """
    recorded = {str(entry["path"]): entry["md5"] for entry in listing if entry["md5"]}
    wrong = []
    for name, md5 in recorded.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        if found.hexdigest() != md5:
            wrong.append(f"{name} (md5 {md5} was recorded, {found.hexdigest()} is there)")
    if wrong:
        raise VersioningError(
            f"{version} is damaged in DVC's cache or remote, and isn't used: {_first(wrong)}; "
            "the object of that md5 lies below files/md5 in .dvc/cache or in the remote: remove "
            "it, and get it from the other by `dvc fetch` or `dvc push`"
        )


def verified_digests(dataset: DetectionDataset) -> dict[str, str]:
    """Return the SHA-256 of each image's file by sample id; empty where there is no image.

    Raises:
        VersioningError: If files are missing, or differ from the data set's manifest.
    """
    digests = {}
    wrong = []
    for sample in dataset:
        path = dataset.image_path(sample)
        found = sha256_file(path) if path.is_file() else ""
        if sample.sha256 and found != sample.sha256:
            there = f"{found} is there" if found else "no file is there"
            wrong.append(f"{path} (sha256 {sample.sha256} is expected, {there})")
        digests[sample.sample_id] = found
    if wrong:
        raise VersioningError(
            f"{dataset.root} isn't what its own {MANIFEST} says, so that it can't be compared: "
            f"{_first(wrong)}; get the version again, or remove {MANIFEST} to compare the files "
            "as they are"
        )
    return digests


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def read_version(folder: Path) -> DetectionDataset:
    """Return the data set in a stage's folder, an arm's, or any COCO folder.

    Raises:
        DatasetError: If there is none, or it can't be read, with every problem found.
    """
    if (folder / MANIFEST).is_file():
        return load_dataset(folder, images=False)
    if (folder / ANNOTATIONS).is_file() or (folder / "annotations").is_dir():
        return load_coco(folder)
    inside = sorted(path.parent for path in folder.glob(f"**/{ANNOTATIONS}"))
    hint = ", ".join(path.relative_to(folder).as_posix() for path in inside[:8])
    raise DatasetError(
        f"{folder} must hold {MANIFEST}, or COCO's {ANNOTATIONS} and images/"
        + (f"; name one of the data sets in it: {hint}" if inside else "")
    )
