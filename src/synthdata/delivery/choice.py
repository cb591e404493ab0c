"""Which of a finished run's detectors is delivered, and whether it is still what was trained."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthdata.config.base import StageName
from synthdata.config.train import TrainConfig
from synthdata.detectors.base import WEIGHTS
from synthdata.errors import DamagedFileError, RunError
from synthdata.files import read_json, sha256_file
from synthdata.report.finished import read_report
from synthdata.runfolder import METRICS, complete_key, read_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedDetector:
    """One training of a finished run.

    Attributes:
        run_dir: `runs/<name>`.
        arm: What it was trained on.
        seed: Of the repetition.
        train_dir: The repetition's `train` folder.
        version_dir: The `version` folder that it was trained and scored on.
        section: What it was trained with.
        report: The run's metrics, see `synthdata.report.evaluate`.
        training: The repetition's metrics, see `synthdata.detectors.arms`.
        weights_sha256: Of the weights' file.
        is_verified: Whether the run recorded that digest.
    """

    run_dir: Path
    arm: str
    seed: int
    train_dir: Path
    version_dir: Path
    section: TrainConfig
    report: Mapping[str, Any]
    training: Mapping[str, Any]
    weights_sha256: str
    is_verified: bool

    @property
    def name(self) -> str:
        """Such as `quickstart-mix-seed-0`, for files."""
        return f"{self.run_dir.name}-{self.arm}-seed-{self.seed}"

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of their ids."""
        return list(self.report["class_names"])

    @property
    def job_dir(self) -> Path:
        """Folder of the training."""
        return _job_dir(self.train_dir, self.arm)

    @property
    def weights(self) -> Path:
        """File of the weights, a pickle."""
        return self.job_dir / WEIGHTS

    def describe(self) -> dict[str, Any]:
        """Return which weights these are, as JSON values."""
        return {
            "run": self.run_dir.name,
            "arm": self.arm,
            "seed": self.seed,
            "weights": self.weights.relative_to(self.run_dir).as_posix(),
            "weights_sha256": self.weights_sha256,
        }


def delivered_arm(run_dir: Path) -> str:
    """Return the arm whose detector a run delivers: the advised one.

    Raises:
        RunError: If the run isn't finished.
    """
    return str(read_report(run_dir)["advice"]["arm"])


def open_detector(
    run_dir: Path, *, arm: str | None = None, seed: int | None = None
) -> TrainedDetector:
    """Return a detector of a finished run whose weights are those that were trained.

    Args:
        run_dir: `runs/<name>`.
        arm: None takes `delivered_arm`.
        seed: None takes the first repetition.

    Raises:
        RunError: If the run isn't finished, its training was made anew since the report, or it
            has no such arm or repetition.
        DamagedFileError: If the weights are missing, or aren't those that the run recorded.
    """
    report = read_report(run_dir)
    arm = arm or delivered_arm(run_dir)
    seed = report["seeds"][0] if seed is None else seed
    for what, asked, known in (("arm", arm, report["arms"]), ("seed", seed, report["seeds"])):
        if asked not in known:
            raise RunError(f"run {run_dir.name} has no {what} {asked!r}, only {list(known)}")
    train_dir = _input_of(run_dir / "report", f"seed-{seed}/train", "report")
    version_dir = _input_of(train_dir, "version", "train")
    training = read_json(train_dir / METRICS)
    recorded = training["arms"][arm].get("weights_sha256")
    found = _check_weights(_job_dir(train_dir, arm) / WEIGHTS, recorded)
    return TrainedDetector(
        run_dir=run_dir,
        arm=arm,
        seed=seed,
        train_dir=train_dir,
        version_dir=version_dir,
        section=TrainConfig.model_validate(read_record(train_dir)["section"]),
        report=report,
        training=training,
        weights_sha256=found,
        is_verified=recorded is not None,
    )


def _job_dir(train_dir: Path, arm: str) -> Path:
    return train_dir / "jobs" / arm


def _input_of(folder: Path, name: str, stage: StageName) -> Path:
    """Return where an input of a finished stage is, if it still is what the stage read."""
    recorded = read_record(folder)["inputs"][name]
    path = Path(os.path.normpath(folder / recorded["path"]))
    if complete_key(path) != recorded["key"]:
        raise RunError(
            f"{stage} in {folder} no longer follows from {name} at {path}, which isn't there or "
            f"was made anew since; run `synthdata {stage}` with the run's config"
        )
    return path


def _check_weights(path: Path, recorded: str | None) -> str:
    """Return the digest of the weights, if it is the one that the run recorded."""
    expected = f"sha256 {recorded}" if recorded else "the weights of a training"
    found = sha256_file(path) if path.is_file() else None
    if found is None or recorded not in (None, found):
        raise DamagedFileError(
            f"{path} isn't what the run trained: expected {expected}, got "
            f"{f'sha256 {found}' if found else 'no file'}; remove its folder and config.yaml of "
            "stage train, and run the stage again: it repeats this training only"
        )
    if recorded is None:
        logger.warning("%s: the run recorded no digest of it; it may have been changed", path)
    return found
