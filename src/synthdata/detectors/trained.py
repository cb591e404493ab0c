"""Uses a finished training again: what it finds in other images, and its weights in another form.

Both happen in a process of the detector's library, in a job folder of their own, so that the
training's folder stays as it is. Nothing in a run's folder is trusted there: weights are read
without running code in them, and nothing is downloaded, whatever the run's config permits.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthdata.config.base import Device
from synthdata.config.detector import UltralyticsConfig
from synthdata.config.train import TrainConfig
from synthdata.detections import Detections
from synthdata.detectors.base import TRAINING, WEIGHTS, TrainJob, TrainSettings
from synthdata.detectors.jobs import build_detector, read_predictions
from synthdata.detectors.records import read_finished
from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.files import link_or_copy

TARGET: Final = "given"
ONNX: Final = "model.onnx"
EXPORT: Final = "export.json"
# Here and not at the detectors, whose modules decide the keys of trainings.
_EXPORTERS: Final[Mapping[str, str]] = {"ultralytics": "synthdata.detectors.ultralytics_exporter"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OnnxModel:
    """An exported detector.

    Attributes:
        path: The file.
        facts: `opset`; names of `input` and `output`; `image_size`, to which the longer side of
            an image is scaled, and `stride`, of which height and width are multiples, both in
            pixels; `end2end`, whether outputs need no non-maximum suppression; `compared_shapes`;
            `largest_difference`, absolute, between onnxruntime's raw outputs and torch's: boxes in
            pixels of the input, and class scores.
    """

    path: Path
    facts: Mapping[str, Any]


def predict_images(
    section: TrainConfig, job_dir: Path, images: Sequence[Path], *, work_dir: Path
) -> list[Detections]:
    """Return what a trained detector finds in images, by the code that scored it.

    Args:
        section: What it was trained with.
        job_dir: The finished training's folder.
        images: Files that ultralytics reads.
        work_dir: A folder for the process; the caller removes it.

    Returns:
        One entry an image, confidence 0.001 and above, in its own pixels.

    Raises:
        TrainingError: If the process fails, for example since the weights hold code.
    """
    call = _prepare(section, job_dir, images, work_dir, device=section.device)
    list(run_workers([call], num_parallel=1))
    return read_predictions(work_dir, TARGET, num_images=len(images))


def export_onnx(section: TrainConfig, job_dir: Path, image: Path, *, work_dir: Path) -> OnnxModel:
    """Write a trained detector as ONNX and compare its raw outputs with torch's.

    Args:
        section: What it was trained with.
        job_dir: The finished training's folder.
        image: What the outputs are compared for.
        work_dir: A folder for the process, which gets the model; the caller removes it.

    Raises:
        TrainingError: If the process fails.
    """
    call = _prepare(section, job_dir, [image], work_dir, device="cpu")
    module = _EXPORTERS[section.detector.kind]
    list(run_workers([WorkerCall(module, work_dir, call.environment)], num_parallel=1))
    return OnnxModel(work_dir / ONNX, read_finished(work_dir / EXPORT, dict))


def _prepare(
    section: TrainConfig, job_dir: Path, images: Sequence[Path], work_dir: Path, *, device: Device
) -> WorkerCall:
    """Write a job that is trained already, and of which a target set is missing."""
    # Here, since most of what imports this module needs no torch.
    from synthdata.training.hardware import resolve_device

    resolved = "cpu" if device == "cpu" else resolve_device("auto")
    trained_on_cpu = read_finished(job_dir / TRAINING, dict)["device"] == "cpu"
    if trained_on_cpu != (resolved == "cpu"):
        logger.info("used on %s, not where it was trained: numbers differ a little", resolved)
    for name in (WEIGHTS, TRAINING):
        link_or_copy(job_dir / name, work_dir / name)
    config = section.detector
    job = TrainJob(
        key="",
        # Of its config only the image's size is needed: no permission is taken over.
        detector=UltralyticsConfig(kind=config.kind, image_size=config.image_size).model_dump(
            mode="json"
        ),
        settings=TrainSettings(
            batch_size=section.batch_size,
            seed=0,
            threads=section.threads_per_job,
            device=resolved,
        ),
        phases=(),
        targets={TARGET: [os.path.relpath(image, work_dir) for image in images]},
        target_keys={},
    )
    job.save(work_dir)
    detector = build_detector(config)
    return WorkerCall(detector.worker, work_dir, detector.environment(job, work_dir))
