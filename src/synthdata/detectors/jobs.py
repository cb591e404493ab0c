"""Prepares job folders, runs what is missing in them, and reads the results back."""

import hashlib
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from synthdata.boxes import xyxy_to_cxcywh
from synthdata.config.base import Device
from synthdata.config.detector import DetectorConfig
from synthdata.detections import Detections, from_coco_results
from synthdata.detectors.base import (
    DATA,
    JOB,
    TRAINING,
    Detector,
    TrainJob,
    predictions_path,
)
from synthdata.detectors.ultralytics import UltralyticsDetector
from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.errors import DatasetError
from synthdata.files import link_or_copy, read_json, sha256_file, sha256_json, write_json
from synthdata.formats.coco import to_coco
from synthdata.samples import DetectionDataset, Sample


@dataclass(frozen=True)
class TrainSettings:
    """How a detector is trained, beyond its own config.

    Attributes:
        epochs: Passes over the training list.
        batch_size: Images a step; divides the list's length.
        seed: In [0, 2**31).
        threads: CPU threads.
        device: `auto` takes a GPU where there is one.
    """

    epochs: int
    batch_size: int
    seed: int
    threads: int = 1
    device: Device = "auto"


def build_detector(config: DetectorConfig) -> Detector:
    """Return the detector that a config names."""
    detectors: Mapping[str, type[Detector]] = {"ultralytics": UltralyticsDetector}
    return detectors[config.kind]()


def prepare_job(
    config: DetectorConfig,
    settings: TrainSettings,
    *,
    train: Sequence[Sample],
    dataset: DetectionDataset,
    targets: Mapping[str, DetectionDataset],
    job_dir: Path,
) -> WorkerCall | None:
    """Write a job folder and return the call that does what is missing there.

    Weights and predictions of an earlier run are kept where what made them is the same.

    Args:
        config: The detector.
        settings: Its training.
        train: The training list: samples of `dataset`, with repeats; as long as a multiple of
            the batch, so that every step has a full batch and arms do equal work.
        dataset: Where the samples' images are, and the class names.
        targets: Data sets to predict, by name.
        job_dir: The job's folder.

    Returns:
        None where nothing is missing.

    Raises:
        DatasetError: If the list's length is no multiple of the batch.
    """
    if not train or len(train) % settings.batch_size:
        raise DatasetError(
            "a training list must hold a multiple of the batch size of "
            f"{settings.batch_size} images, got {len(train)}"
        )
    job = TrainJob(
        key=_training_key(config, settings, train, dataset),
        detector=config.model_dump(mode="json"),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        threads=settings.threads,
        device=settings.device,
        targets={name: _relative_paths(target, job_dir) for name, target in targets.items()},
        target_keys={name: _target_key(target) for name, target in targets.items()},
    )
    _drop_stale(job, job_dir)
    trained = (job_dir / TRAINING).is_file()
    if trained and all(predictions_path(job_dir, name).is_file() for name in targets):
        return None
    shutil.rmtree(job_dir / "scratch", ignore_errors=True)
    if not trained:
        _write_data(job_dir / DATA, train, dataset)
    job.save(job_dir)
    detector = build_detector(config)
    return WorkerCall(detector.worker, job_dir, detector.environment(job, job_dir))


def read_predictions(job_dir: Path, target: str, *, num_images: int) -> list[Detections]:
    """Return a job's detections on a target set, one entry an image, in its order."""
    return from_coco_results(read_json(predictions_path(job_dir, target)), num_images=num_images)


def train_and_predict(  # noqa: PLR0913  # a call a reader should see whole
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

    The training list is filled by repeats to a multiple of the batch. Finished weights and
    predictions in `out_dir` are reused where the arguments are the same.

    Args:
        config: The detector.
        train: Training images.
        targets: Images to predict.
        steps: Optimizer steps, rounded up to whole passes over the training list.
        batch_size: Images a step.
        seed: Of the training.
        threads: CPU threads; part of the result, since sums depend on it.
        out_dir: The job's folder.

    Returns:
        One entry an image of `targets`, in its order; confidence 0.001 and above.

    Raises:
        DatasetError: If `train` is empty.
        TrainingError: If the training fails.
    """
    steps_per_epoch = math.ceil(len(train) / batch_size)
    repeated = [train.samples[i % len(train)] for i in range(steps_per_epoch * batch_size)]
    settings = TrainSettings(
        epochs=math.ceil(steps / max(steps_per_epoch, 1)),
        batch_size=batch_size,
        seed=seed % 2**31,
        threads=threads,
    )
    call = prepare_job(
        config,
        settings,
        train=repeated,
        dataset=train,
        targets={"targets": targets},
        job_dir=out_dir,
    )
    if call is not None:
        list(run_workers([call], num_parallel=1))
    return read_predictions(out_dir, "targets", num_images=len(targets))


def _training_key(
    config: DetectorConfig,
    settings: TrainSettings,
    train: Sequence[Sample],
    dataset: DetectionDataset,
) -> str:
    unique = {sample.sample_id: sample for sample in train}
    images = {
        name: [_image_sha256(dataset, sample), *_annotation_values(sample)]
        for name, sample in unique.items()
    }
    return sha256_json(
        [
            config.model_dump(mode="json"),
            [settings.epochs, settings.batch_size, settings.seed],
            [settings.threads, settings.device],
            dataset.class_names,
            [sample.sample_id for sample in train],
            images,
        ]
    )


def _target_key(target: DetectionDataset) -> str:
    return sha256_json([_image_sha256(target, sample) for sample in target])


def _image_sha256(dataset: DetectionDataset, sample: Sample) -> str:
    return sample.sha256 or sha256_file(dataset.image_path(sample))


def _annotation_values(sample: Sample) -> list[str]:
    arrays: list[np.ndarray] = [sample.annotations.xyxy, sample.annotations.class_id]  # type: ignore[type-arg]
    return [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]


def _relative_paths(dataset: DetectionDataset, job_dir: Path) -> list[str]:
    return [
        Path(os.path.relpath(dataset.image_path(sample), job_dir)).as_posix() for sample in dataset
    ]


def _drop_stale(job: TrainJob, job_dir: Path) -> None:
    """Remove what another job left in the folder."""
    if not (job_dir / JOB).is_file():
        shutil.rmtree(job_dir, ignore_errors=True)
        return
    earlier = TrainJob.load(job_dir)
    if earlier.key != job.key:
        shutil.rmtree(job_dir)
        return
    for name, key in job.target_keys.items():
        if earlier.target_keys.get(name) != key:
            predictions_path(job_dir, name).unlink(missing_ok=True)


def _write_data(data_dir: Path, train: Sequence[Sample], dataset: DetectionDataset) -> None:
    """Write the training data in YOLO and COCO form; images are hard links."""
    unique = {sample.sample_id: sample for sample in train}
    renamed = []
    for sample in unique.values():
        path = Path("images", f"{sample.sample_id}{sample.path.suffix}")
        link_or_copy(dataset.image_path(sample), data_dir / path)
        label = data_dir / "labels" / f"{sample.sample_id}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text(_yolo_rows(sample), encoding="utf-8")
        renamed.append(replace(sample, path=path))
    name_of = {sample.sample_id: sample.path.as_posix() for sample in renamed}
    lines = [f"./{name_of[sample.sample_id]}\n" for sample in train]
    (data_dir / "train.txt").write_text("".join(lines), encoding="utf-8")
    names = dict(enumerate(dataset.class_names))
    description = {"train": "train.txt", "val": "train.txt", "names": names}
    (data_dir / "data.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    local = replace(dataset, root=data_dir, samples=tuple(renamed))
    write_json(data_dir / "annotations.json", to_coco(local))


def _yolo_rows(sample: Sample) -> str:
    boxes = xyxy_to_cxcywh(sample.annotations.xyxy, width=sample.width, height=sample.height)
    return "".join(
        f"{class_id} {' '.join(f'{value:.6f}' for value in box)}\n"
        for class_id, box in zip(sample.annotations.class_id, boxes, strict=True)
    )
