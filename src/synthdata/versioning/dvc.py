"""DVC: how it is run, and its repository and remote in a workspace."""

import configparser
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from synthdata.errors import VersioningError
from synthdata.files import write_text
from synthdata.versioning.git import git_root, ignoring_rule, run_command

REMOTE = "synthdata"
OWN = Path(".synthdata")
_EMBEDDED_REMOTE = OWN / "dvc-remote"
_DVCIGNORE = ("*.cache", f"{OWN}/")  # what ultralytics leaves beside labels; our remote, lock

logger = logging.getLogger(__name__)


def run_dvc(arguments: Sequence[str], folder: Path) -> str:
    """Run a DVC command in `folder` and return what it prints.

    It sends no usage report and looks for no update, since both go through the network.

    Raises:
        VersioningError: With DVC's message, or if DVC isn't installed.
    """
    if importlib.util.find_spec("dvc") is None:
        raise VersioningError("DVC isn't installed; install synthdata[versioning]")
    quiet = {"DVC_NO_ANALYTICS": "1", "DVC_DAEMON": "1"}
    return run_command([sys.executable, "-m", "dvc", *arguments], folder, quiet)


def dvc_root(workspace: Path) -> Path | None:
    """Return the root of the DVC repository that takes the workspace's files, if any.

    A repository above the Git repository, or above a folder that Git ignores, is another's.
    """
    top = git_root(workspace)
    if top is not None and ignoring_rule(workspace / ".dvc", workspace):
        top = workspace
    for folder in (workspace, *workspace.parents):
        if (folder / ".dvc").is_dir():
            return folder
        if folder == top:
            break
    return None


def make_repository(workspace: Path) -> tuple[Path, bool]:
    """Return the root of the DVC repository, made where there is none, and if it uses Git."""
    top = git_root(workspace)
    root = dvc_root(workspace)
    if root is not None:
        without = _config(root).getboolean("core", "no_scm", fallback=False)
        return root, top is not None and not without
    if top is None or ignoring_rule(workspace / ".dvc", workspace):
        run_dvc(["init", "--quiet", "--no-scm"], workspace)
        logger.warning("%s is a DVC repository now; without Git, which isn't used here", workspace)
        return workspace, False
    run_dvc(["init", "--quiet", *(["--subdir"] if workspace != top else [])], workspace)
    logger.warning("%s is a DVC repository now; its files are staged in Git", workspace)
    return workspace, True


def make_own_folder(workspace: Path) -> None:
    """Make the folder of the lock and the embedded remote, which Git never sees."""
    if not (workspace / OWN / ".gitignore").is_file():
        write_text(workspace / OWN / ".gitignore", "*\n")


def write_dvcignore(root: Path) -> None:
    """Add what DVC must not see to `.dvcignore`, where it isn't there yet."""
    path = root / ".dvcignore"
    text = path.read_text("utf-8") if path.is_file() else ""
    missing = [line for line in _DVCIGNORE if line not in text.splitlines()]
    if missing:
        start = text if not text or text.endswith("\n") else f"{text}\n"
        write_text(path, start + "\n".join(missing) + "\n")


def configure_remote(root: Path, workspace: Path, remote: str | None) -> str:
    """Return the name of the remote, configured where it isn't yet."""
    config = _config(root)
    if remote is not None and config.has_section(_section(remote)):
        return remote
    url = str(_EMBEDDED_REMOTE) if remote is None else remote
    # DVC keeps a relative path relative to its config file, so that the workspace can move.
    is_relative = "://" not in url and not Path(url).is_absolute()
    stored = os.path.relpath(workspace / url, root / ".dvc") if is_relative else url
    if config.get(_section(REMOTE), "url", fallback=None) != stored:
        default = [] if config.has_option("core", "remote") else ["--default"]
        run_dvc(["remote", "add", "--quiet", "--force", *default, REMOTE, url], workspace)
    return REMOTE


def _config(root: Path) -> configparser.ConfigParser:
    """Return DVC's config of the repository, an INI file and its local supplement."""
    config = configparser.ConfigParser(interpolation=None)
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    return config


def _section(remote: str) -> str:
    return f"'remote \"{remote}\"'"
