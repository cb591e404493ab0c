"""Doing a stage's work in its folder, unless it is done already."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from synthdata.config.base import StageName, StageSection
from synthdata.errors import DamagedFileError
from synthdata.files import (
    link_or_copy,
    read_json,
    remove_temporaries,
    sync_tree,
    write_json,
    write_text,
)
from synthdata.runfolder.chain import read_input_keys
from synthdata.runfolder.changes import what_changed
from synthdata.runfolder.key import KeyParts, key_parts
from synthdata.runfolder.lock import hold_run, lock_folder
from synthdata.runfolder.record import (
    CONFIG,
    METRICS,
    complete_key,
    read_key,
    read_record,
    run_dir_of,
    write_key,
)
from synthdata.runfolder.stale import bring_back, is_set_aside, move_aside

# Parts with keys of their own outlive a change of the rest. Opening the test split or adding an arm
# repeats no training; a judge, which sees real images only, serves another generator; another pool
# repeats no image of those that are there.
_PARTS: Final[Mapping[StageName, frozenset[str]]] = {
    "generate": frozenset({"images", "shards"}),
    "train": frozenset({"jobs"}),
    "score": frozenset({"images", "shards", "judge", "alone"}),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """What a stage left behind.

    Attributes:
        stage: Its name.
        out_dir: Its folder, complete.
        metrics: What it measured; `elapsed_s` among it.
        reused: Whether the folder was complete already.
    """

    stage: StageName
    out_dir: Path
    metrics: Mapping[str, Any]
    reused: bool


def run_in_folder(
    stage: StageName,
    section: StageSection,
    *,
    inputs: Mapping[str, Path],
    out_dir: Path,
    work: Callable[[], dict[str, Any]],
    fingerprint: str = "",
) -> StageResult:
    """Do a stage's work in its folder, unless it is done already.

    What lies there of another config is set aside, and comes back with that config. Where a
    library that the stage needs is missing, it comes back at once.

    Args:
        stage: The stage's name.
        section: Its resolved config.
        inputs: Folders of complete stages, by name.
        out_dir: The stage's folder, made where it is missing.
        work: Fills `out_dir`, going on where a killed run left it, and returns metrics.
        fingerprint: Digest of what the stage reads beside its inputs.

    Raises:
        RunError: If an input isn't complete or no longer follows from its own, or another
            process works in the run with another config, or in the folder.
        DamagedFileError: If a record or the metrics of a finished stage can't be read.
    """
    with hold_run(run_dir_of(out_dir)):
        parts = key_parts(stage, section, read_input_keys(stage, inputs), fingerprint)
        with lock_folder(out_dir):
            earlier = _make_room(out_dir, section, parts)
            if complete_key(out_dir) == parts.digest:
                logger.info("%s: done already, reused from %s", stage, out_dir)
                return StageResult(stage, out_dir, read_json(out_dir / METRICS), reused=True)
            start = time.perf_counter()
            try:
                metrics = work()
            except ImportError:
                _give_back(out_dir, earlier)
                raise
            metrics["elapsed_s"] = round(time.perf_counter() - start, 3)
            write_json(out_dir / METRICS, metrics)
            sync_tree(out_dir)
            write_text(out_dir / CONFIG, _record(section, inputs, out_dir, parts))
    return StageResult(stage, out_dir, metrics, reused=False)


def _record(
    section: StageSection, inputs: Mapping[str, Path], out_dir: Path, parts: KeyParts
) -> str:
    """Return the text of `config.yaml`; see `read_record`."""
    values = {
        "stage": parts.stage,
        "key": parts.digest,
        "section": section.model_dump(mode="json"),
        "inputs": {
            name: {
                "key": parts.input_keys[name],
                "path": Path(os.path.relpath(path, out_dir)).as_posix(),
            }
            for name, path in inputs.items()
        },
        "fingerprint": parts.fingerprint,
        "code": parts.code.sha256,
        "libraries": list(parts.code.libraries),
    }
    return yaml.safe_dump(values, sort_keys=False)


def _make_room(out_dir: Path, section: StageSection, parts: KeyParts) -> str | None:
    """Leave in a folder what belongs to a key: a finished stage, a part of one, or nothing.

    Returns:
        The key of a finished stage that was set aside, or None.
    """
    stage, key = parts.stage, parts.digest
    if complete_key(out_dir) == key:
        return None
    earlier = None
    if read_key(out_dir) != key:
        earlier = complete_key(out_dir)
        _replace(out_dir, section, parts)
    if complete_key(out_dir) == key:
        return earlier
    if read_key(out_dir) == key:
        logger.info("%s: resuming in %s", stage, out_dir)
    remove_temporaries(out_dir)
    write_key(out_dir, key, stage)
    return earlier


def _replace(out_dir: Path, section: StageSection, parts: KeyParts) -> None:
    """Set aside what lies in a folder, and bring back what was set aside under the key."""
    stage, key = parts.stage, parts.digest
    if not any(out_dir.iterdir()) and not is_set_aside(out_dir, key):
        return  # as it is: it may be a link to an empty folder on another disk
    reason = _reason(out_dir, section, parts)
    fresh = out_dir.with_name(f".tmp-{out_dir.name}")
    shutil.rmtree(fresh, ignore_errors=True)  # of a killed run
    fresh.mkdir()
    for name in _PARTS.get(stage, ()):
        _link_tree(out_dir / name, fresh / name)
    kept = move_aside(out_dir)
    if bring_back(out_dir, key):
        shutil.rmtree(fresh)
    else:
        fresh.rename(out_dir)
    if kept is not None:
        what = "found again" if complete_key(out_dir) == key else "computing afresh"
        logger.warning("%s: %s (%s); what lay there is kept in %s", stage, what, reason, kept)


def _reason(out_dir: Path, section: StageSection, parts: KeyParts) -> str:
    if complete_key(out_dir) is None:
        return "it was unfinished, and of another config"
    try:
        return "; ".join(what_changed(read_record(out_dir), section, parts))
    except (DamagedFileError, KeyError):
        return "it was of another config"


def _link_tree(source: Path, target: Path) -> None:
    """Make the files of one folder those of another too; none is ever edited in place."""
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            link_or_copy(path, target / path.relative_to(source))


def _give_back(out_dir: Path, earlier: str | None) -> None:
    """Set aside what was begun, and give a finished stage its place again."""
    if earlier is not None:
        move_aside(out_dir)
        bring_back(out_dir, earlier)
