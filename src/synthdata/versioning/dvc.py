"""DVC: how it is run, and its repository and remote in a workspace."""

import configparser
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from synthdata.errors import VersioningError
from synthdata.files import write_text
from synthdata.versioning.git import git_root, ignoring_rule, run_command

REMOTE = "synthdata"
OWN = Path(".synthdata")
_EMBEDDED_REMOTE = OWN / "dvc-remote"
_DVCIGNORE = ("*.cache", f"{OWN}/")  # what ultralytics leaves beside labels; our remote, lock
_SITE_CACHE = OWN / "dvc-site-cache"
_RUN_ALL = """
import json, sys
from synthdata.lifeline import end_with_parent
end_with_parent()
from dvc.cli import main
sys.exit(next((status for status in map(main, json.loads(sys.argv[1])) if status), 0))
"""

logger = logging.getLogger(__name__)


def run_dvc(commands: Sequence[Sequence[str]], folder: Path) -> str:
    """Run DVC commands in `folder`, one after the other until one fails.

    They share a process, since most of the time of a command is DVC's start. It ends with this
    one, even by `kill -9`, so that none stays behind with DVC's lock. None sends a usage report
    or looks for an update, since both go through the network.

    DVC keeps pickles in its site cache, by default in `/var/tmp/dvc`, which any user of the
    machine may write to; opening them runs what they say (CVE-2025-69872). Here the site cache
    is a folder of `folder` that only its user may enter.

    Returns:
        What the commands print.

    Raises:
        VersioningError: With DVC's message, or if DVC isn't installed.
    """
    if importlib.util.find_spec("dvc") is None:
        raise VersioningError("DVC isn't installed; install synthdata[versioning]")
    make_own_folder(folder)
    site_cache = folder.resolve() / _SITE_CACHE
    site_cache.mkdir(mode=0o700, exist_ok=True)
    environment = {
        "DVC_NO_ANALYTICS": "1", "DVC_DAEMON": "1", "DVC_SITE_CACHE_DIR": str(site_cache),
    }  # fmt: skip
    shown = " && ".join(" ".join(["dvc", *command]) for command in commands)
    program = [sys.executable, "-P", "-c", _RUN_ALL, json.dumps(commands)]
    with _lifeline() as stdin:
        return run_command(program, folder, environment=environment, shown=shown, stdin=stdin)


@contextmanager
def _lifeline() -> Iterator[int]:
    """Yield the reading end of a pipe that closes when this process ends."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


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


def find_repository(workspace: Path) -> tuple[Path, bool, list[list[str]]]:
    """Return the root of the DVC repository, if it uses Git, and the commands that make it."""
    top = git_root(workspace)
    root = dvc_root(workspace)
    if root is not None:
        without = _config(root).getboolean("core", "no_scm", fallback=False)
        return root, top is not None and not without, []
    if top is None or ignoring_rule(workspace / ".dvc", workspace):
        logger.warning(
            "making %s a DVC repository; Git takes no part, since it doesn't track it", workspace
        )
        return workspace, False, [["init", "--no-scm"]]
    logger.warning("making %s a DVC repository; its files are staged in Git", workspace)
    return workspace, True, [["init"] if workspace == top else ["init", "--subdir"]]


def make_own_folder(workspace: Path) -> None:
    """Make the folder of the lock, site cache and embedded remote, which Git never sees."""
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


def find_remote(root: Path, workspace: Path, remote: str | None) -> tuple[str, list[list[str]]]:
    """Return the remote's name, and the commands that configure it where it isn't yet.

    The own remote verifies: DVC digests what it fetches, and doesn't check out what it can't
    trust. A remote that the user configured stays as it is.
    """
    config = _config(root)
    if remote is not None and config.has_section(_section(remote)):
        return remote, []
    url = str(_EMBEDDED_REMOTE) if remote is None else remote
    # DVC keeps a relative path relative to its config file, so that the workspace can move.
    is_relative = "://" not in url and not Path(url).is_absolute()
    stored = os.path.relpath(workspace / url, root / ".dvc") if is_relative else url
    verify = ["remote", "modify", REMOTE, "verify", "true"]
    if config.get(_section(REMOTE), "url", fallback=None) == stored:
        verifies = config.getboolean(_section(REMOTE), "verify", fallback=False)
        return REMOTE, [] if verifies else [verify]
    default = [] if config.has_option("core", "remote") else ["--default"]
    return REMOTE, [["remote", "add", "--force", *default, REMOTE, url], verify]


def _config(root: Path) -> configparser.ConfigParser:
    """Return DVC's config of the repository, an INI file and its local supplement."""
    config = configparser.ConfigParser(interpolation=None)
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    return config


def _section(remote: str) -> str:
    return f"'remote \"{remote}\"'"
