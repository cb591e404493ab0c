"""Giving finished version stages to DVC.

A stage's arms and evaluation splits are copied to `data/versions/<run>/seed-<s>` and added
to DVC as one folder, so that a version is one small `.dvc` file, which belongs to Git. DVC
stores an image once, however many arms and versions share it. They are copies, not links,
because users of DVC edit and check out that folder, and a stage's folder never changes. What a
user edited there is never overwritten (see `synthdata.versioning.copies`).
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from synthdata.armfolder import ARMS, EVAL
from synthdata.errors import VersioningError
from synthdata.files import read_json
from synthdata.runfolder import complete_key
from synthdata.versioning.copies import copy_version
from synthdata.versioning.dvc import (
    OWN,
    find_remote,
    find_repository,
    make_own_folder,
    run_dvc,
    write_dvcignore,
)
from synthdata.versioning.git import ignoring_rule, stage

VERSIONS = Path("data") / "versions"

logger = logging.getLogger(__name__)


def publish_versions(
    out_dirs: Sequence[Path], *, workspace: Path, remote: str | None = None, commit: bool = False
) -> list[dict[str, Any]]:
    """Add version stages' data sets to DVC, and store them in a remote.

    Where the workspace is in no DVC repository, it becomes one: with Git if it is in a Git
    repository that doesn't ignore it, without otherwise. The small files are staged in Git.
    Under `dvc repro`, which tracks the stage's output itself, nothing is done.

    Args:
        out_dirs: The stages' folders, `runs/<run>/seed-<s>/version`; one that is a link to
            another's is skipped. All at once costs as many DVC calls as one.
        workspace: The folder that gets `data/versions/<run>/seed-<s>` and its `.dvc` file.
        remote: Folder (relative to the workspace, or absolute), URL, or the name of a remote
            that is configured; None keeps an embedded one in the workspace.
        commit: Whether to commit the small files too.

    Returns:
        For each version, `path` and `dvc_file` relative to the workspace, the folder's `md5`,
        `remote`, `git` (whether Git is used) and `commit` (a hash, or None); an empty list
        under `dvc repro`.

    Raises:
        VersioningError: If DVC or Git is missing or refuses, or a version in the workspace was
            edited and the stage has made another one; `out_dirs` are untouched.
    """
    if "DVC_STAGE" in os.environ:  # DVC sets it for the commands of its stages
        logger.info("version: under dvc repro, which tracks the folders itself")
        return []
    workspace = workspace.resolve()
    sources = {_path_of(real): real for real in (out_dir.resolve() for out_dir in out_dirs)}
    make_own_folder(workspace)
    try:
        # Repetitions side by side share one repository.
        with FileLock(workspace / OWN / "dvc.lock"):
            found = _publish(sources, workspace=workspace, remote=remote, commit=commit)
    except VersioningError as error:
        raise VersioningError(
            f"{error}\nMend that and run the same command again, or set version.dvc=false to "
            "keep the folders without DVC"
        ) from None
    logger.info("version: %s are in DVC", ", ".join(str(path) for path in sources))
    return found


def find_published(out_dir: Path, workspace: Path) -> dict[str, str] | None:
    """Return where a finished version stage is in DVC, as `publish_versions` left it.

    Args:
        out_dir: The stage's folder.
        workspace: The folder that holds `data/versions`.

    Returns:
        `dvc_file`, relative to the workspace, and the folder's `md5`; None where the stage wasn't
        published, or another was in its place since.
    """
    path = _path_of(out_dir.resolve())
    dvc_file = path.with_name(f"{path.name}.dvc")
    marker = _marker(path, workspace)
    if not marker.is_file() or not (workspace / dvc_file).is_file():
        return None
    if read_json(marker)["key"] != complete_key(out_dir):
        return None
    return {"dvc_file": dvc_file.as_posix(), "md5": _md5(workspace / dvc_file)}


def _path_of(out_dir: Path) -> Path:
    """Return where the copy of a version stage's own folder is, relative to the workspace."""
    return VERSIONS / out_dir.parent.parent.name / out_dir.parent.name


def _marker(path: Path, workspace: Path) -> Path:
    return workspace / OWN / "copied" / f"{path}.json"


def _md5(dvc_file: Path) -> str:
    return str(yaml.safe_load(dvc_file.read_text("utf-8"))["outs"][0]["md5"])


def _publish(
    sources: Mapping[Path, Path], *, workspace: Path, remote: str | None, commit: bool
) -> list[dict[str, Any]]:
    """Publish the stage folders that `sources` gives for paths in the workspace."""
    dvc_files = {path: path.with_name(f"{path.name}.dvc") for path in sources}
    root, uses_git, initialise = find_repository(workspace)
    if uses_git:
        _refuse_ignored(workspace, dvc_files.values())
    write_dvcignore(root)
    name, configure = find_remote(root, workspace, remote)
    for path, out_dir in sources.items():
        marker = _marker(path, workspace)
        copy_version(out_dir, workspace / path, parts=(ARMS, EVAL), marker=marker)
    add = ["add", *map(str, sources)]
    push = ["push", "--remote", name, *map(str, dvc_files.values())]
    run_dvc([*initialise, *configure, add, push], workspace)
    sha = None
    if uses_git:
        small = [root / file for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore")]
        small += [workspace / file for file in dvc_files.values()]
        small += sorted({workspace / path.parent / ".gitignore" for path in sources})
        names = ", ".join(path.relative_to(VERSIONS).as_posix() for path in sources)
        sha = stage(small, workspace, message=f"Version {names}" if commit else "")
    return [
        {
            "path": path.as_posix(),
            "dvc_file": dvc_file.as_posix(),
            "md5": _md5(workspace / dvc_file),
            "remote": name,
            "git": uses_git,
            "commit": sha,
        }
        for path, dvc_file in dvc_files.items()
    ]


def _refuse_ignored(workspace: Path, dvc_files: Iterable[Path]) -> None:
    for path in dvc_files:
        rule = ignoring_rule(workspace / path, workspace)
        if rule:
            raise VersioningError(
                f"{path} belongs to Git, but the rule {rule} ignores it; remove that rule, since "
                "DVC adds its own for the images"
            )
