"""A stage's folder: locked, resumable, complete only when its `config.yaml` is there.

A stage's key is the digest of its resolved section and of its inputs' keys. A complete
folder with the same key is reused; one with another key is stale and computed afresh; an
incomplete one with the same key is resumed by the stage itself, shard by shard.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from synthdata import __version__
from synthdata.config import StageName, StageSection
from synthdata.errors import RunError
from synthdata.files import read_json, remove_temporaries, sha256_json, write_json, write_text

CONFIG = "config.yaml"
# Settings whose values are folders or files, if they aren't ids on a hub.
_NAMES_FILES = ("model", "controlnet", "weights")
# A setting that changes nothing of what a stage leaves.
_WITHOUT_EFFECT = "checkpoint_every_s"
METRICS = "metrics.json"
_KEY = ".key"
# Finished trainings have keys of their own: opening the test split or adding an arm repeats none,
# and a judge, which sees real images only, outlives a change of the generator.
_TRAININGS: Mapping[StageName, frozenset[str]] = {
    "train": frozenset({"jobs"}),
    "score": frozenset({"judge", "alone"}),
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

    Args:
        stage: The stage's name.
        section: Its resolved config.
        inputs: Folders of complete stages, by name.
        out_dir: The stage's folder, made where it is missing.
        work: Fills `out_dir`, going on where a killed run left it, and returns metrics.
        fingerprint: Digest of what the stage reads beside its inputs.

    Raises:
        RunError: If an input isn't complete, or another process works in the folder.
    """
    key = _stage_key(stage, section, inputs, fingerprint)
    with _locked(out_dir):
        if complete_key(out_dir) == key:
            logger.info("%s: done already, reused from %s", stage, out_dir)
            return StageResult(stage, out_dir, read_json(out_dir / METRICS), reused=True)
        _make_ready(stage, out_dir, key)
        start = time.perf_counter()
        metrics = work()
        metrics["elapsed_s"] = round(time.perf_counter() - start, 3)
        write_json(out_dir / METRICS, metrics)
        resolved = {"stage": stage, "key": key, "section": section.model_dump(mode="json")}
        write_text(out_dir / CONFIG, yaml.safe_dump(resolved, sort_keys=False))
    return StageResult(stage, out_dir, metrics, reused=False)


def complete_key(folder: Path) -> str | None:
    """Return the key of a complete stage folder, or None where it isn't complete."""
    return _read_key(folder) if (folder / CONFIG).is_file() else None


def read_section(folder: Path) -> dict[str, Any]:
    """Return the resolved config section that made a complete stage folder."""
    resolved = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    section: dict[str, Any] = resolved["section"]
    return section


def _stage_key(
    stage: StageName, section: StageSection, inputs: Mapping[str, Path], fingerprint: str
) -> str:
    input_keys = {name: complete_key(path) for name, path in inputs.items()}
    for name, key in input_keys.items():
        if key is None:
            raise RunError(
                f"{stage} needs {name} at {inputs[name]}, which isn't finished; run it first"
            )
    settings = section.model_dump(mode="json", exclude={_WITHOUT_EFFECT})
    values = [__version__, stage, settings, input_keys, fingerprint, *_named_files(settings)]
    return sha256_json(values)


def _named_files(value: Any, name: str = "") -> Iterator[tuple[str, int, int]]:  # noqa: ANN401
    """Yield name, size and time of the files that settings name: weights may change in place."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _named_files(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _named_files(part, name)
    elif isinstance(value, str) and name in _NAMES_FILES:
        path = Path(value)
        for file in [path, *sorted(path.rglob("*"))] if path.exists() else []:
            if file.is_file():
                yield str(file), file.stat().st_size, file.stat().st_mtime_ns


def _read_key(folder: Path) -> str:
    path = folder / _KEY
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def remove_stage(stage: StageName, out_dir: Path) -> None:
    """Remove a stage folder, finished or not, so that another's can take its place.

    Raises:
        RunError: If another process works in the folder.
    """
    with _locked(out_dir):
        if any(out_dir.iterdir()):
            logger.warning("%s: config or inputs changed, removing %s", stage, out_dir)
        _invalidate(out_dir)
        shutil.rmtree(out_dir)


def _invalidate(out_dir: Path) -> None:
    """Forget what a folder holds before any of it is removed: a killed removal isn't resumed."""
    for name in (CONFIG, _KEY):
        (out_dir / name).unlink(missing_ok=True)


def _make_ready(stage: StageName, out_dir: Path, key: str) -> None:
    (out_dir / CONFIG).unlink(missing_ok=True)
    if any(out_dir.iterdir()):
        if _read_key(out_dir) == key:
            logger.info("%s: resuming in %s", stage, out_dir)
        else:
            kept = _TRAININGS.get(stage, frozenset())
            what = "all but its trainings" if kept else "all"
            logger.warning(
                "%s: config or inputs changed, computing %s of %s afresh", stage, what, out_dir
            )
            _invalidate(out_dir)
            for path in out_dir.iterdir():
                if path.name not in kept:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        remove_temporaries(out_dir)
    write_text(out_dir / _KEY, key)


@contextmanager
def _locked(out_dir: Path) -> Iterator[None]:
    out_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out_dir.parent / f".{out_dir.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"another process works in {out_dir}; wait for it, or give the run another name"
        ) from None
    try:
        yield
    finally:
        lock.release()
