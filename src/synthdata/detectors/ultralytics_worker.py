"""The process that trains a YOLO: `python -m synthdata.detectors.ultralytics_worker JOB_FOLDER`.

It imports ultralytics, which is AGPL-3.0, and runs as a program of its own, which speaks to
synthdata through the files that `synthdata.detectors.base` describes.
"""

import csv
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# torch first: ultralytics would set its number of threads otherwise.
import torch
import ultralytics
import yaml
from ultralytics.utils.checks import check_file
from ultralytics.utils.downloads import attempt_download_asset

from synthdata.config.detector import UltralyticsConfig
from synthdata.detections import Detections, to_coco_results
from synthdata.detectors.base import (
    DATA,
    LOSSES,
    SCRATCH,
    TRAINING,
    WEIGHTS,
    TrainJob,
    description_path,
    predictions_path,
)
from synthdata.detectors.ultralytics import stated_settings
from synthdata.detectors.ultralytics_process import set_up
from synthdata.detectors.ultralytics_trainer import train_phase
from synthdata.files import replacing, sha256_file, write_json
from synthdata.lifeline import end_with_parent
from synthdata.seeding import derive_seed

MIN_CONFIDENCE = 0.001
MAX_DETECTIONS = 300


def main(job_dir: Path) -> None:
    """Do what is missing in a job's folder."""
    job = TrainJob.load(job_dir)
    config = UltralyticsConfig.model_validate(job.detector)
    set_up(config, job, job_dir)
    device = "0" if job.settings.device == "cuda" else "cpu"
    if not (job_dir / TRAINING).is_file():
        _train(config, job, job_dir, device)
    for target, images in job.targets.items():
        path = predictions_path(job_dir, target)
        if not path.is_file():
            found = _predict(config, job_dir, images, device)
            write_json(path, to_coco_results(found))
    shutil.rmtree(job_dir / SCRATCH)


def _train(config: UltralyticsConfig, job: TrainJob, job_dir: Path, device: str) -> None:
    """Train all phases, each from the weights of the one before."""
    scratch, model, trained = job_dir / SCRATCH, _model(config, job_dir / SCRATCH), []
    for number, phase in enumerate(job.phases, start=1):
        settings = replace(job.settings, seed=_phase_seed(job.settings.seed, number))
        done = train_phase(
            {**stated_settings(config, settings, phase), "device": device},
            config,
            model=model,
            data=description_path(job_dir / DATA, number),
            run_dir=scratch / ("run" if number == 1 else f"run-{number}"),
        )
        trained.append(done)
        model = str(done.weights)
    with replacing(job_dir / WEIGHTS) as temporary:
        shutil.copyfile(model, temporary)
    _copy_losses([phase.results for phase in trained], job_dir / LOSSES)
    training = {
        "steps": sum(phase.steps for phase in trained),
        "seconds": round(sum(phase.seconds for phase in trained), 3),
        "cpu_seconds": round(sum(phase.cpu_seconds for phase in trained), 3),
        "num_images": sum(phase.num_images for phase in trained),
        "num_parameters": trained[-1].num_parameters,
        "weights_sha256": sha256_file(job_dir / WEIGHTS),
        "device": device,
        "versions": {"torch": str(torch.__version__), "ultralytics": ultralytics.__version__},
    }
    write_json(job_dir / TRAINING, training)


def _phase_seed(seed: int, number: int) -> int:
    """Return a phase's seed; with one seed for all, each would draw the same augmentations."""
    return seed if number == 1 else derive_seed(seed, "phase", number) % 2**31


def _copy_losses(results: Sequence[Path], path: Path) -> None:
    """Join ultralytics' tables of the phases and keep epoch, phase and losses, plainly named."""
    rows: list[dict[str, Any]] = []
    for phase, table in enumerate(results, start=1):
        with table.open(newline="") as source:
            rows += [{**row, "phase": phase} for row in csv.DictReader(source)]
    losses = [key for key in rows[0] if key.startswith("train/")]
    kept = ["phase", *losses] if len(results) > 1 else losses
    with replacing(path) as temporary, temporary.open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        names = [key.removeprefix("train/").removesuffix("_loss") for key in kept]
        writer.writerow(["epoch", *names])
        writer.writerows(
            [epoch, *(row[key] for key in kept)] for epoch, row in enumerate(rows, start=1)
        )


def _model(config: UltralyticsConfig, scratch: Path) -> str:
    """Return the file of the model, or a name that ultralytics knows.

    The size `p`, an eighth of the width, is ours.
    """
    name, path = config.model, Path(config.model)
    if config.is_address:
        return str(check_file(name, download_dir=scratch))
    if path.suffix == ".pt" and not path.is_file():
        return str(attempt_download_asset(scratch / name))
    if not path.stem.endswith("p") or path.suffix != ".yaml" or path.is_file():
        return name
    models = Path(ultralytics.__file__).parent / "cfg" / "models"
    (source,) = models.glob(f"*/{path.stem[:-1]}.yaml")
    architecture = yaml.safe_load(source.read_text(encoding="utf-8"))
    # Boxes of small images span few cells, so that 8 bins a side do where 16 are usual.
    architecture |= {"scales": {"p": [0.33, 0.125, 256]}, "reg_max": 8}
    scaled = scratch / path.name
    scaled.write_text(yaml.safe_dump(architecture, sort_keys=False), encoding="utf-8")
    return str(scaled)


def _predict(
    config: UltralyticsConfig, job_dir: Path, images: list[str], device: str
) -> list[Detections]:
    """Return the detections in each image, one image at a time, so that none sways another."""
    model = ultralytics.YOLO(job_dir / WEIGHTS, task="detect")
    found = []
    for image in images:
        (result,) = model.predict(
            job_dir / image,
            imgsz=config.image_size,
            conf=MIN_CONFIDENCE,
            iou=0.7,
            max_det=MAX_DETECTIONS,
            device=device,
            verbose=False,
            save=False,
        )
        boxes = result.boxes.cpu().numpy()
        found.append(Detections(xyxy=boxes.xyxy, class_id=boxes.cls, confidence=boxes.conf))
    return found


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
