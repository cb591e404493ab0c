"""The process that trains a YOLO: `python -m synthdata.detectors.ultralytics_worker JOB_FOLDER`.

The only module that imports ultralytics, which is AGPL-3.0. It runs as a program of its own and
speaks to synthdata through the files that `synthdata.detectors.base` describes.

ultralytics fills in much that isn't asked for: here each augmentation, the optimizer, the warm-up
and the batch accumulation are stated, validation is left out (the last weights are kept, so that
no score chooses them), and nothing reaches for the network.
"""

import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

# torch first: ultralytics would set its number of threads otherwise.
import torch
import yaml

from synthdata.config.detector import UltralyticsConfig
from synthdata.detections import Detections, to_coco_results
from synthdata.detectors.base import (
    DATA,
    LOSSES,
    TRAINING,
    WEIGHTS,
    TrainJob,
    predictions_path,
)
from synthdata.detectors.workers import end_with_parent
from synthdata.errors import TrainingError
from synthdata.files import replacing, write_json

WARMUP_FRACTION = 0.1
MIN_CONFIDENCE = 0.001
MAX_DETECTIONS = 300
_LOADER_WORKERS = 2  # on a GPU; ultralytics loads in the process itself on a CPU


def main(job_dir: Path) -> None:
    """Do what is missing in a job's folder."""
    job = TrainJob.load(job_dir)
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)
    config = UltralyticsConfig.model_validate(job.detector)
    device = "0" if job.device != "cpu" and torch.cuda.is_available() else "cpu"
    _keep_offline(job_dir / "scratch")
    if not (job_dir / TRAINING).is_file():
        _train(config, job, job_dir, device)
    for target, images in job.targets.items():
        path = predictions_path(job_dir, target)
        if not path.is_file():
            found = _predict(config, job_dir, images, device)
            write_json(path, to_coco_results(found))
    shutil.rmtree(job_dir / "scratch")


def _keep_offline(config_dir: Path) -> None:
    """Turn off ultralytics' integrations and put a font where it would download one to."""
    from matplotlib import get_data_path
    from ultralytics import settings

    integrations = ("sync", "dvc", "mlflow", "comet", "clearml", "raytune", "tensorboard", "wandb")
    settings.update({name: False for name in integrations if name in settings})
    font = config_dir / "Ultralytics" / "Arial.ttf"
    font.unlink(missing_ok=True)
    font.symlink_to(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def _train(config: UltralyticsConfig, job: TrainJob, job_dir: Path, device: str) -> None:
    from ultralytics.data.augment import Albumentations
    from ultralytics.models.yolo.detect import DetectionTrainer

    class Trainer(DetectionTrainer):  # type: ignore[misc]  # ultralytics has no types
        """Counts optimizer steps, seeds albumentations and never validates."""

        num_steps = 0

        def optimizer_step(self) -> None:
            super().optimizer_step()
            self.num_steps += 1

        def validate(self) -> tuple[dict[str, float], float]:
            return {}, 0.0

    def seed_albumentations(trainer: Trainer) -> None:
        # ultralytics leaves albumentations' own generator to the operating system's entropy,
        # and goes on without a policy that it can't build.
        for transform in trainer.train_loader.dataset.transforms.transforms:
            if isinstance(transform, Albumentations):
                if len(transform.transform.transforms) != len(config.augmentations):
                    raise TrainingError("ultralytics didn't take the albumentations policy")
                transform.transform.set_random_seed(job.seed)

    scratch = job_dir / "scratch"
    trainer = Trainer(
        overrides={
            **_stated(config),
            "model": _model(config.model, scratch),
            "data": str(job_dir / DATA / "data.yaml"),
            "epochs": job.epochs,
            "batch": job.batch_size,
            "nbs": job.batch_size,
            "warmup_epochs": WARMUP_FRACTION * job.epochs,
            "seed": job.seed,
            "device": device,
            "project": str(scratch),
            "name": "run",
            "exist_ok": True,
        }
    )
    trainer.add_callback("on_train_start", seed_albumentations)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    steps = len(trainer.train_loader) * job.epochs
    if trainer.num_steps != steps:
        raise TrainingError(
            f"expected {steps} optimizer steps, ultralytics made {trainer.num_steps}"
        )
    with replacing(job_dir / WEIGHTS) as temporary:
        shutil.copyfile(trainer.last, temporary)
    with replacing(job_dir / LOSSES) as temporary:
        shutil.copyfile(trainer.csv, temporary)
    write_json(
        job_dir / TRAINING,
        {
            "steps": trainer.num_steps,
            "seconds": round(seconds, 3),
            "num_images": len(trainer.train_loader.dataset),
            "num_parameters": sum(p.numel() for p in trainer.model.parameters()),
            "device": device,
        },
    )


def _stated(config: UltralyticsConfig) -> dict[str, Any]:
    """Return every setting that is the same for all jobs of a config."""
    import albumentations as A

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns of a wrong argument
        policy = [
            getattr(A, name)(**arguments)
            for entry in config.augmentations
            for name, arguments in entry.items()
        ]
    return {
        "imgsz": config.image_size,
        "optimizer": "AdamW",
        "lr0": config.learning_rate,
        "lrf": 0.01,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "warmup_bias_lr": 0.0,
        "warmup_momentum": 0.9,
        "augmentations": policy,
        "fliplr": config.flip_lr,
        "flipud": config.flip_ud,
        "scale": config.scale,
        "translate": config.translate,
        "mosaic": config.mosaic,
        "close_mosaic": 0,
        "hsv_h": 0.0,
        "hsv_s": 0.0,
        "hsv_v": 0.0,
        "degrees": 0.0,
        "shear": 0.0,
        "perspective": 0.0,
        "bgr": 0.0,
        "mixup": 0.0,
        "cutmix": 0.0,
        "copy_paste": 0.0,
        "multi_scale": 0.0,
        "amp": False,
        "cache": False,
        "deterministic": True,
        "patience": 0,
        "plots": False,
        "rect": False,
        "save": False,
        "val": False,
        "workers": _LOADER_WORKERS,
    }


def _model(name: str, scratch: Path) -> str:
    """Return what ultralytics knows by `name`; size `p` is ours: an eighth of the width."""
    path = Path(name)
    if not path.stem.endswith("p") or path.suffix != ".yaml" or path.is_file():
        return name
    from ultralytics import __file__ as package

    (source,) = Path(package).parent.glob(f"cfg/models/*/{path.stem[:-1]}.yaml")
    architecture = yaml.safe_load(source.read_text(encoding="utf-8"))
    architecture["scales"] = {"p": [0.33, 0.125, 256]}
    scaled = scratch / path.name
    scaled.write_text(yaml.safe_dump(architecture, sort_keys=False), encoding="utf-8")
    return str(scaled)


def _predict(
    config: UltralyticsConfig, job_dir: Path, images: list[str], device: str
) -> list[Detections]:
    """Return the detections in each image, one image at a time, so that none sways another."""
    from ultralytics import YOLO

    model = YOLO(job_dir / WEIGHTS, task="detect")
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
