"""Whether finished stages follow from one another.

A stage's record holds the keys of its inputs. Where another key lies in an input's place now, the
stage is of another experiment than what lies there, and must not be read together with it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from synthdata.config.base import StageName
from synthdata.errors import RunError
from synthdata.runfolder.record import complete_key, read_key, read_record


def read_input_keys(stage: StageName, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Return the keys of a stage's inputs.

    Args:
        stage: Who needs them.
        inputs: Folders by name.

    Raises:
        RunError: If an input isn't finished, or no longer follows from its own inputs, or one of
            these from theirs. An input's input that was removed contradicts nothing.
        DamagedFileError: If a record can't be read.
    """
    keys, checked = {}, set[Path]()
    for name, folder in inputs.items():
        key = complete_key(folder)
        if key is None:
            raise RunError(
                f"{stage} needs {name} at {folder}, which isn't finished; run it first, "
                "with the same config"
            )
        keys[name] = key
        _check(stage, folder, checked)
    return keys


def is_own_link(folder: Path) -> bool:
    """Return whether a stage's folder is a link to another repetition's, made by synthdata."""
    if not folder.is_symlink():
        return False
    parts = folder.readlink().parts
    return len(parts) == 3 and parts[0] == ".." and parts[1].startswith("seed-")


def _check(stage: StageName, folder: Path, checked: set[Path]) -> None:
    """Refuse a finished folder that doesn't follow from what lies in its inputs' places."""
    if folder in checked:
        return
    checked.add(folder)
    record = read_record(folder)
    for name, recorded in record.get("inputs", {}).items():
        for there in _places(folder, recorded["path"]):
            if not there.is_dir() or not any(there.iterdir()):
                continue
            if read_key(there) != recorded["key"]:
                made = record["stage"]
                raise RunError(
                    f"{stage} can't go on: {made} at {folder} no longer follows from {name} at "
                    f"{there}, which was made with another config, data or code since; run "
                    f"`synthdata {made}`, or `synthdata run`, with the config that you want"
                )
            if complete_key(there):
                _check(stage, there, checked)


def _places(folder: Path, path: str) -> Iterator[Path]:
    """Yield where an input lies, as seen from a stage's folder and from one that it shares."""
    yield Path(os.path.normpath(folder / path))
    if is_own_link(folder):
        shared = Path(os.path.normpath(folder.parent / folder.readlink()))
        yield Path(os.path.normpath(shared / path))
