"""What a stage's folder says about itself.

`.key` is written when the stage begins: its key, and its name. `config.yaml` is written last, so
that a folder that has one is finished; it holds all that the key was made of.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from synthdata.files import naming_damage, write_text

CONFIG: Final = "config.yaml"
METRICS: Final = "metrics.json"
KEY: Final = ".key"


def complete_key(folder: Path) -> str | None:
    """Return the key of a complete stage folder, or None where it isn't complete."""
    return read_key(folder) if (folder / CONFIG).is_file() else None


def read_section(folder: Path) -> dict[str, Any]:
    """Return the resolved config section that made a complete stage folder.

    Raises:
        DamagedFileError: If its record can't be read.
    """
    section: dict[str, Any] = read_record(folder)["section"]
    return section


def read_record(folder: Path) -> dict[str, Any]:
    """Return what made a complete stage folder.

    Returns:
        `stage`, `key`, `section` (its resolved settings), `inputs` (the `key` and relative `path`
        of each), `fingerprint` (digest of what the stage read beside them), `code` (digest of the
        modules that decided the result) and `libraries` (name and version of each).

    Raises:
        DamagedFileError: If the record can't be read.
    """
    path = folder / CONFIG
    with naming_damage(path):
        try:
            record = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ValueError(error) from error
        if not isinstance(record, dict) or "section" not in record:
            raise ValueError("it holds no record of a stage")
        return record


def read_key(folder: Path) -> str:
    """Return the key under which a stage began in a folder; empty where none did."""
    return _lines(folder)[0]


def read_stage(folder: Path) -> str:
    """Return the name of the stage that began in a folder; empty where it isn't known."""
    return _lines(folder)[1]


def write_key(folder: Path, key: str, stage: str) -> None:
    """Say that a stage begins in a folder, under a key."""
    write_text(folder / KEY, f"{key}\n{stage}\n")


def _lines(folder: Path) -> list[str]:
    path = folder / KEY
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [*text.split(), "", ""]


def run_dir_of(out_dir: Path) -> Path:
    """Return the run's folder: of `runs/a/seed-0/fit` and of `runs/a/report` it is `runs/a`."""
    parent = out_dir.parent
    return parent.parent if parent.name.startswith("seed-") else parent
