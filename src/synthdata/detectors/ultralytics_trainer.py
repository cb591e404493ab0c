"""One phase of an ultralytics training; imported by the worker only, since ultralytics is AGPL-3.0.

ultralytics fills in much that isn't asked for: here each augmentation, the optimizer, the warm-up
and the batch accumulation are stated, validation is left out (the last weights are kept, so that
no score chooses them). ultralytics derives all random numbers from the one seed that it is given,
those of albumentations too.
"""

import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ultralytics.data.augment import Albumentations
from ultralytics.models.yolo.detect import DetectionTrainer

from synthdata.config.detector import UltralyticsConfig
from synthdata.errors import TrainingError


@dataclass(frozen=True)
class TrainedPhase:
    """What a phase leaves.

    Attributes:
        weights: The checkpoint of the last epoch, its moving average in half precision.
        results: ultralytics' table of losses.
        steps: Optimizer steps really made.
        num_images: Of the list, repeats counted.
        num_parameters: Of the model.
        seconds: Wall-clock time of the training alone.
        cpu_seconds: CPU time of this process in it.
    """

    weights: Path
    results: Path
    steps: int
    num_images: int
    num_parameters: int
    seconds: float
    cpu_seconds: float


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


def train_phase(
    stated: Mapping[str, Any], config: UltralyticsConfig, *, model: str, data: Path, run_dir: Path
) -> TrainedPhase:
    """Train and check that every image of the list was learned from.

    Args:
        stated: ultralytics' settings, without the paths and the device's.
        config: The detector.
        model: File or name of the architecture or the weights that the phase starts from.
        data: YOLO description of the data set, beside the training list that it names.
        run_dir: Gets ultralytics' files.

    Raises:
        TrainingError: If an image can't be read, or steps are missing.
    """
    trainer = Trainer(
        overrides={
            **stated,
            "augmentations": _policy(config),
            "model": model,
            "data": str(data),
            "project": str(run_dir.parent),
            "name": run_dir.name,
            "exist_ok": True,
        }
    )
    listed = Path(trainer.data["train"]).read_text(encoding="utf-8").splitlines()
    trainer.add_callback("on_train_start", partial(_check_list, listed=listed))
    trainer.add_callback("on_train_start", _check_policy)
    trainer.add_callback("on_train_start", _speed_up)
    start, cpu_start = time.perf_counter(), time.process_time()
    trainer.train()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    expected = len(listed) // stated["batch"] * stated["epochs"]
    if trainer.num_steps != expected:
        raise TrainingError(f"expected {expected} optimizer steps, got {trainer.num_steps}")
    return TrainedPhase(
        weights=trainer.last,
        results=trainer.csv,
        steps=trainer.num_steps,
        num_images=len(trainer.train_loader.dataset),
        num_parameters=sum(p.numel() for p in trainer.model.parameters()),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


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


def _check_policy(trainer: Trainer) -> None:
    """Check that ultralytics took the albumentations transforms; it seeds them itself.

    Raises:
        TrainingError: If it went on without them, as it does on any error.
    """
    for transform in trainer.train_loader.dataset.transforms.transforms:
        if isinstance(transform, Albumentations):
            taken = transform.transform.transforms if transform.transform else []
            if len(taken) != len(trainer.args.augmentations):
                raise TrainingError(f"ultralytics didn't take {trainer.args.augmentations}")


def _speed_up(trainer: Trainer) -> None:
    """Use the memory layout and the optimizer kernel that make a small model a third faster."""
    trainer.model.to(memory_format=torch.channels_last)
    for group in trainer.optimizer.param_groups:
        group["fused"] = True
