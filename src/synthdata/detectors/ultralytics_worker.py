"""The process that trains a YOLO: `python -m synthdata.detectors.ultralytics_worker JOB_FOLDER`.

The only module that imports ultralytics, which is AGPL-3.0. It runs as a program of its own and
speaks to synthdata through the files that `synthdata.detectors.base` describes.

ultralytics fills in much that isn't asked for: here each augmentation, the optimizer, the warm-up
and the batch accumulation are stated, validation is left out (the last weights are kept, so that
no score chooses them), and nothing reaches for the network. What weights and an architecture's
YAML contain is read without running code in it, unless the config trusts them.
"""

import csv
import shutil
import socket
import sys
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

# torch first: ultralytics would set its number of threads otherwise.
import torch
import ultralytics
import yaml
from matplotlib import get_data_path
from ultralytics.data.augment import Albumentations
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import SAFE_LOAD
from ultralytics.utils.callbacks import platform
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
    predictions_path,
)
from synthdata.detectors.ultralytics import stated_settings
from synthdata.errors import TrainingError
from synthdata.files import replacing, write_json
from synthdata.lifeline import end_with_parent

MIN_CONFIDENCE = 0.001
MAX_DETECTIONS = 300


def main(job_dir: Path) -> None:
    """Do what is missing in a job's folder."""
    job = TrainJob.load(job_dir)
    config = UltralyticsConfig.model_validate(job.detector)
    if not SAFE_LOAD and not config.trust_weights:
        raise TrainingError("ULTRALYTICS_SAFE_LOAD must be 1, so that no weights can run code")
    if not config.allow_download:
        _refuse_connections()
    torch.set_num_threads(job.settings.threads)
    torch.set_flush_denormal(True)
    device = "0" if job.settings.device == "cuda" else "cpu"
    _keep_offline(job_dir / SCRATCH)
    if not (job_dir / TRAINING).is_file():
        _train(config, job, job_dir, device)
    for target, images in job.targets.items():
        path = predictions_path(job_dir, target)
        if not path.is_file():
            found = _predict(config, job_dir, images, device)
            write_json(path, to_coco_results(found))
    shutil.rmtree(job_dir / SCRATCH)


def _keep_offline(config_dir: Path) -> None:
    """Turn off ultralytics' integrations and put fonts where it would download them to."""
    integrations = ("sync", "dvc", "mlflow", "comet", "clearml", "raytune", "tensorboard", "wandb")
    known = ultralytics.settings
    known.update({name: False for name in integrations if name in known})
    known.update({"api_key": ""})
    platform.callbacks.clear()  # no setting switches it off
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):  # the second for names that aren't ASCII
        font = config_dir / "Ultralytics" / name
        font.unlink(missing_ok=True)
        font.symlink_to(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def _refuse_connections() -> None:
    """Refuse connections to other machines; an architecture may name weights to download."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        internet = event == "socket.connect" and arguments[0].family != socket.AF_UNIX
        if internet or event == "socket.getaddrinfo":
            raise OSError(f"a training must not need a network: {event} {arguments[1:]}")

    sys.addaudithook(refuse)


class Trainer(DetectionTrainer):  # type: ignore[misc]  # ultralytics has no types
    """Counts the optimizer steps really made, and never validates."""

    num_steps = 0

    def optimizer_step(self) -> None:
        """Make a step and count it."""
        super().optimizer_step()
        self.num_steps += 1

    def validate(self) -> tuple[dict[str, float], float]:
        """Return nothing measured; ultralytics would validate after the last epoch."""
        return {}, 0.0


def _train(config: UltralyticsConfig, job: TrainJob, job_dir: Path, device: str) -> None:
    scratch = job_dir / SCRATCH
    trainer = Trainer(
        overrides={
            **stated_settings(config, job.settings),
            "augmentations": _policy(config),
            "model": _model(config, scratch),
            "data": str(job_dir / DATA / "data.yaml"),
            "device": device,
            "project": str(scratch),
            "name": "run",
            "exist_ok": True,
        }
    )
    listed = (job_dir / DATA / "train.txt").read_text(encoding="utf-8").splitlines()
    trainer.add_callback("on_train_start", partial(_check_list, listed=listed))
    trainer.add_callback("on_train_start", _seed_albumentations)
    trainer.add_callback("on_train_start", _speed_up)
    start, cpu_start = time.perf_counter(), time.process_time()
    trainer.train()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    expected = len(listed) // job.settings.batch_size * job.settings.epochs
    if trainer.num_steps != expected:
        raise TrainingError(f"expected {expected} optimizer steps, got {trainer.num_steps}")
    with replacing(job_dir / WEIGHTS) as temporary:
        shutil.copyfile(trainer.last, temporary)
    _copy_losses(trainer.csv, job_dir / LOSSES)
    training = {
        "steps": trainer.num_steps,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "num_images": len(trainer.train_loader.dataset),
        "num_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "device": device,
        "versions": {"torch": str(torch.__version__), "ultralytics": ultralytics.__version__},
    }
    write_json(job_dir / TRAINING, training)


def _copy_losses(results: Path, path: Path) -> None:
    """Keep the epoch and the losses of ultralytics' table, under plain names."""
    with results.open(newline="") as source:
        rows = list(csv.DictReader(source))
    names = {key: key.removeprefix("train/").removesuffix("_loss") for key in rows[0]}
    kept = [key for key in names if key == "epoch" or key.startswith("train/")]
    with replacing(path) as temporary, temporary.open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow([names[key] for key in kept])
        writer.writerows([row[key] for key in kept] for row in rows)


def _policy(config: UltralyticsConfig) -> list[Any]:
    """Return the albumentations transforms that the config names.

    Raises:
        UserWarning: If an argument is wrong, of which albumentations only warns.
    """
    import albumentations

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [
            getattr(albumentations, name)(**arguments)
            for entry in config.augmentations
            for name, arguments in entry.items()
        ]


def _check_list(trainer: Trainer, listed: list[str]) -> None:
    """Compare what ultralytics reads with the training list.

    It leaves out images that it takes for damaged, so that arms would do unequal work.

    Raises:
        TrainingError: If an image of the list isn't among what is read.
    """
    taken = Counter(Path(file).name for file in trainer.train_loader.dataset.im_files)
    lost = Counter(Path(line).name for line in listed) - taken
    if lost:
        raise TrainingError(
            f"{lost.total()} of the {len(listed)} images of the training list can't be read, or "
            f"their labels can't: {', '.join(sorted(lost))}; the log says why. Mend them in the "
            "data set that the list is of, or leave them out"
        )


def _seed_albumentations(trainer: Trainer) -> None:
    """Seed albumentations' own generator, which ultralytics leaves to the system's entropy.

    Raises:
        TrainingError: If ultralytics went on without the policy, as it does on any error.
    """
    for transform in trainer.train_loader.dataset.transforms.transforms:
        if isinstance(transform, Albumentations):
            taken = transform.transform.transforms if transform.transform else []
            if len(taken) != len(trainer.args.augmentations):
                raise TrainingError(f"ultralytics didn't take {trainer.args.augmentations}")
            transform.transform.set_random_seed(trainer.args.seed)


def _speed_up(trainer: Trainer) -> None:
    """Use the memory layout and the optimizer kernel that make a small model a third faster."""
    trainer.model.to(memory_format=torch.channels_last)
    for group in trainer.optimizer.param_groups:
        group["fused"] = True


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
