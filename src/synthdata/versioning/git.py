"""The few Git commands that versioning needs, and how a command is run."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthdata.errors import VersioningError


def run_command(
    command: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    shown: str,
    stdin: int | None = None,
) -> str:
    """Run a command in `folder` and return what it prints.

    Args:
        command: Program and arguments.
        folder: Where.
        environment: Variables on top of the process's own.
        shown: What an error calls the command.
        stdin: A file descriptor; None hands on this process's own.

    Raises:
        VersioningError: With the program's message, if it exits with another status than 0.
    """
    process = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        message = (process.stderr or process.stdout).strip() or f"status {process.returncode}"
        raise VersioningError(f"`{shown}` failed in {folder}:\n{message}")
    return process.stdout


def run_git(arguments: Sequence[str], folder: Path) -> str:
    """Run a Git command, with messages in English.

    Raises:
        VersioningError: With Git's message.
    """
    command = ["git", *arguments]
    return run_command(command, folder, environment={"LC_ALL": "C"}, shown=" ".join(command))


def git_root(folder: Path) -> Path | None:
    """Return the root of the Git repository around `folder`; None without one or without Git.

    Raises:
        VersioningError: If Git finds a repository and refuses to work with it.
    """
    if shutil.which("git") is None:
        return None
    try:
        return Path(run_git(["rev-parse", "--show-toplevel"], folder).strip())
    except VersioningError as error:
        if "not a git repository" in str(error):
            return None
        raise


def ignoring_rule(path: Path, folder: Path) -> str:
    """Return the rule (`file:line:pattern`) by which Git ignores `path`, or nothing.

    Args:
        path: Need not exist.
        folder: Inside the repository.
    """
    process = subprocess.run(
        ["git", "check-ignore", "--verbose", str(path)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,  # status 1 says that nothing ignores it
    )
    return process.stdout.split("\t")[0]


def stage(paths: Sequence[Path], folder: Path, *, message: str = "") -> str | None:
    """Stage files; with a message, commit them too, and nothing else that is staged.

    Returns:
        The commit's hash; None if there was nothing to commit, or no message.

    Raises:
        VersioningError: With Git's message.
    """
    names = [str(path) for path in paths if path.exists()]
    run_git(["add", "--", *names], folder)
    if not message or not run_git(["status", "--porcelain", "--", *names], folder):
        return None
    run_git(["commit", "--quiet", "--message", message, "--", *names], folder)
    return run_git(["rev-parse", "HEAD"], folder).strip()
