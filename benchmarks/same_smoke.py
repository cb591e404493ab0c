"""Does a change keep results as they were? Images, lists and detections of two revisions.

    python benchmarks/same_smoke.py main~1 main

Each revision runs a config in a folder of its own, with this interpreter's libraries. What differs
is printed by kind; the exit status is 1 then.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory

from synthdata.files import sha256_file

_RUN = "from synthdata.cli import main; main()"
# What each kind of result is, below the run's folder.
_KINDS = {
    "images": ["seed-*/prepare/images/*.png", "seed-*/generate/images/*.png"],
    "lists": ["seed-*/version/arms/*/train*.txt"],
    "detections": ["seed-*/train/jobs/*/predictions-*.json"],
}


def results(revision: str, config: str, folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Run a config with the code of a revision; return the digest of each result by kind."""
    source, workspace = folder / "source", folder / "workspace"
    workspace.mkdir(parents=True)
    subprocess.run(["git", "worktree", "add", "--detach", source, revision], check=True)
    try:
        subprocess.run(
            [sys.executable, "-c", _RUN, "--quiet", "run", config],
            cwd=workspace,
            env=environ | {"PYTHONPATH": str(source / "src")},
            check=True,
        )
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", source], check=True)
    run = workspace / "runs" / Path(config).stem
    return {
        kind: {
            path.relative_to(run).as_posix(): sha256_file(path)
            for pattern in patterns
            for path in run.glob(pattern)
        }
        for kind, patterns in _KINDS.items()
    }


def main() -> None:
    """Print what two revisions have in common and what differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--config", default="smoke.yaml", help="a bundled one")
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        before, after = (
            results(revision, arguments.config, Path(scratch) / name)
            for name, revision in (("before", arguments.before), ("after", arguments.after))
        )
    same = True
    for kind in _KINDS:
        names = before[kind].keys() | after[kind].keys()
        differing = sorted(n for n in names if before[kind].get(n) != after[kind].get(n))
        print(f"{kind}: {len(names) - len(differing)} of {len(names)} the same", *differing[:9])
        same = same and not differing and bool(names)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
