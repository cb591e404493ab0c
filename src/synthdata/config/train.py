"""The `train` section: the detector and its training, the same for every arm."""

from typing import Annotated, Literal

from synthdata.config.base import NO_EFFECT, Device, PositiveInt, StageSection
from synthdata.config.detector import DetectorConfig


class TrainConfig(StageSection):
    """Trains and evaluates the detector on every arm, with equal optimizer steps.

    Attributes:
        detector: Which.
        epochs: Passes over the arm's list; steps = epochs * list_length / batch_size.
        batch_size: Images a step.
        num_jobs: Trainings side by side.
        threads_per_job: CPU threads of each; part of the result, since sums depend on it.
        evaluation_split: `val` for every choice; `test` is opened by `--final` only.
        shifted: Whether detectors are scored on the shifted sets too; `--final` and `--shifted`
            set it, no YAML does.
        device: `auto` takes a GPU where there is one.
    """

    detector: DetectorConfig
    epochs: PositiveInt = 37
    batch_size: PositiveInt = 16
    num_jobs: Annotated[PositiveInt, NO_EFFECT] = 2
    threads_per_job: PositiveInt = 1
    evaluation_split: Literal["val", "test"] = "val"
    shifted: bool = False
    device: Device = "auto"
