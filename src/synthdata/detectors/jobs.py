"""Prepares job folders, runs what is missing in them, and reads the results back."""

import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synthdata.config.detector import DetectorConfig
from synthdata.detections import Detections, from_coco_results
from synthdata.detectors.base import (
    DATA,
    JOB,
    SCRATCH,
    TRAINING,
    WEIGHTS,
    Detector,
    PhaseSettings,
    TrainingPhase,
    TrainJob,
    TrainSettings,
    predictions_path,
)
from synthdata.detectors.job_data import (
    check_images,
    target_key,
    training_key,
    write_training_data,
)
from synthdata.detectors.records import read_finished, read_record
from synthdata.detectors.ultralytics import UltralyticsDetector
from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.errors import DatasetError
from synthdata.files import sha256_file
from synthdata.samples import DetectionDataset

logger = logging.getLogger(__name__)

_TARGETS = "targets"


def build_detector(config: DetectorConfig) -> Detector:
    """Return the detector that a config names."""
    detectors: Mapping[str, type[Detector]] = {"ultralytics": UltralyticsDetector}
    return detectors[config.kind]()


def prepare_job(
    config: DetectorConfig,
    settings: TrainSettings,
    *,
    phases: Sequence[TrainingPhase],
    dataset: DetectionDataset,
    targets: Mapping[str, DetectionDataset],
    job_dir: Path,
) -> WorkerCall | None:
    """Write a job folder and return the call that does what is missing there.

    Weights and predictions of an earlier run are kept where what made them is the same.

    Args:
        config: The detector.
        settings: Its training.
        phases: The parts of the training, in order.
        dataset: Where the samples' images are, and the class names.
        targets: Data sets to predict, by name.
        job_dir: The job's folder.

    Returns:
        None where nothing is missing.

    Raises:
        DatasetError: If a list's length is no multiple of the batch, or an image that would be
            read isn't the one that the manifest names.
        ConfigError: If `cuda` is asked for and there is none, or the model's file isn't there.
    """
    detector = build_detector(config)
    detector.check(config)
    lengths = [len(phase.train) for phase in phases]
    if not lengths or any(not length or length % settings.batch_size for length in lengths):
        raise DatasetError(
            "the training list of each phase must hold a multiple of the batch size of "
            f"{settings.batch_size} images, got {' and '.join(map(str, lengths)) or 'no phase'}"
        )
    # Here, since most of what imports this module needs no torch.
    from synthdata.training.hardware import resolve_device

    # The device that is used belongs to the key: arms are compared that were trained on one.
    settings = replace(settings, device=resolve_device(settings.device))
    job = TrainJob(
        key=training_key(config, settings, phases, dataset),
        detector=config.model_dump(mode="json"),
        settings=settings,
        phases=[PhaseSettings(phase.epochs, phase.learning_rate) for phase in phases],
        targets={name: _relative_paths(target, job_dir) for name, target in targets.items()},
        target_keys={name: target_key(target) for name, target in targets.items()},
    )
    earlier_keys = _drop_stale(job, job_dir)
    job = replace(job, target_keys={**earlier_keys, **job.target_keys})
    trained = _is_trained(job_dir)
    missing = [name for name in targets if not predictions_path(job_dir, name).is_file()]
    if trained and not missing:
        return None
    for name in missing:
        check_images(targets[name])
    shutil.rmtree(job_dir / SCRATCH, ignore_errors=True)
    if not trained:
        write_training_data(job_dir / DATA, phases, dataset)
    job.save(job_dir)
    return WorkerCall(detector.worker, job_dir, detector.environment(job, job_dir))


def read_predictions(job_dir: Path, target: str, *, num_images: int) -> list[Detections]:
    """Return a job's detections on a target set: one entry per image, in its order.

    Raises:
        RunError: If the file isn't there, or can't be read.
    """
    results = read_finished(predictions_path(job_dir, target), list)
    return from_coco_results(results, num_images=num_images)


def prepare_training(  # noqa: PLR0913  # a call a reader should see whole
    config: DetectorConfig,
    *,
    train: DetectionDataset,
    targets: DetectionDataset,
    steps: int,
    batch_size: int,
    seed: int,
    threads: int,
    out_dir: Path,
) -> WorkerCall | None:
    """Write the folder of a training on one data set and return the call that it needs.

    The training list is filled by repeats to a multiple of the batch. What it finds in `targets`
    is read by `read_training`.

    Args:
        config: The detector.
        train: Training images.
        targets: Images to predict.
        steps: Optimizer steps, rounded up to whole passes over the training list.
        batch_size: Images a step.
        seed: Of the training.
        threads: CPU threads; part of the result, since sums depend on it.
        out_dir: The job's folder. Finished weights and predictions in it are reused where the
            arguments are the same.

    Returns:
        None where nothing is missing.

    Raises:
        DatasetError: If `train` is empty.
    """
    steps_per_epoch = math.ceil(len(train) / batch_size)
    repeated = [train.samples[i % len(train)] for i in range(steps_per_epoch * batch_size)]
    settings = TrainSettings(batch_size=batch_size, seed=seed % 2**31, threads=threads)
    epochs = math.ceil(steps / max(steps_per_epoch, 1))
    return prepare_job(
        config,
        settings,
        phases=[TrainingPhase(repeated, epochs)],
        dataset=train,
        targets={_TARGETS: targets},
        job_dir=out_dir,
    )


def read_training(out_dir: Path, targets: DetectionDataset) -> list[Detections]:
    """Return what a finished training found: one entry an image, confidence 0.001 and above."""
    return read_predictions(out_dir, _TARGETS, num_images=len(targets))


def train_and_predict(  # noqa: PLR0913  # see prepare_training
    config: DetectorConfig,
    *,
    train: DetectionDataset,
    targets: DetectionDataset,
    steps: int,
    batch_size: int,
    seed: int,
    threads: int,
    out_dir: Path,
) -> list[Detections]:
    """Train a detector on one data set and return what it finds in another.

    Arguments and errors are those of `prepare_training`.

    Raises:
        TrainingError: If the training fails.
    """
    call = prepare_training(
        config,
        train=train,
        targets=targets,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        threads=threads,
        out_dir=out_dir,
    )
    if call is not None:
        list(run_workers([call], num_parallel=1))
    return read_training(out_dir, targets)


def _relative_paths(dataset: DetectionDataset, job_dir: Path) -> list[str]:
    return [
        Path(os.path.relpath(dataset.image_path(sample), job_dir)).as_posix() for sample in dataset
    ]


def _drop_stale(job: TrainJob, job_dir: Path) -> Mapping[str, str]:
    """Remove what another job, or a power cut, left in the folder.

    Returns:
        The keys of the targets that are kept.
    """
    # Only the keys are read, so that a job of another version of synthdata is just stale.
    earlier = read_record(job_dir / JOB, dict) or {}
    damaged = (job_dir / TRAINING).is_file() and not _is_trained(job_dir)
    if damaged:
        logger.warning("%s or its record is damaged; it is trained anew", job_dir / WEIGHTS)
    if earlier.get("key") != job.key or damaged:
        shutil.rmtree(job_dir, ignore_errors=True)
        return {}
    kept: Mapping[str, str] = earlier["target_keys"]
    for name, key in job.target_keys.items():
        path = predictions_path(job_dir, name)
        if kept.get(name) != key or read_record(path, list) is None:
            path.unlink(missing_ok=True)
    return kept


def _is_trained(job_dir: Path) -> bool:
    """Return whether a training is finished, and its weights are those that it recorded."""
    record, weights = read_record(job_dir / TRAINING, dict), job_dir / WEIGHTS
    if not record or not weights.is_file():
        return False
    # A training of an earlier version recorded no digest.
    return record.get("weights_sha256") in (None, sha256_file(weights))
