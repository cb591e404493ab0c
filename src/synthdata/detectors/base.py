"""What every detector shares: a process of its own with files in and files out.

A training has one phase or several. It lives in a job folder. In go `job.json` (a `TrainJob`) and
`scratch/data/`, a data set in both YOLO form (`images/`, `labels/`, and for each phase a list with
repeats and its description: `train.txt` and `data.yaml`, `train-2.txt` and `data-2.yaml`, ...) and
COCO form (`annotations.json`). Out come, each under its final name only when whole,

- `weights.pt`: the last epoch's weights; never chosen by a score on val or test,
- `losses.csv`: `epoch` (from 1, counted through all phases), `phase` (from 1, only where there
  are several), and a column per loss, such as `box`, `cls`, `dfl`,
- `training.json`: `steps` (optimizer steps really made), `seconds`, `cpu_seconds`, `num_images`
  (of the phases' lists together, repeats counted), `num_parameters`, `weights_sha256`, `device`,
  `versions`; written last, so that a job with it is trained,
- `predictions-<target>.json`: COCO results for each target set.

A worker does what is missing: it trains where there is no `training.json`, then predicts each
target that has no predictions. A killed training starts again from its first phase. The process
boundary gives each training its own threads, seeds and memory, and keeps a detector library's
licence out of this package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from synthdata.config.base import Device
from synthdata.config.detector import DetectorConfig
from synthdata.files import read_json, write_json
from synthdata.samples import Sample

JOB = "job.json"
SCRATCH = "scratch"
DATA = f"{SCRATCH}/data"
WEIGHTS = "weights.pt"
LOSSES = "losses.csv"
TRAINING = "training.json"


def training_list_path(data_dir: Path, phase: int) -> Path:
    """Return where the training list of a phase, counted from 1, is."""
    return data_dir / ("train.txt" if phase == 1 else f"train-{phase}.txt")


def description_path(data_dir: Path, phase: int) -> Path:
    """Return where the YOLO description of a phase's data set is."""
    return data_dir / ("data.yaml" if phase == 1 else f"data-{phase}.yaml")


def predictions_path(job_dir: Path, target: str) -> Path:
    """Return where a job's predictions for a target set are."""
    return job_dir / f"predictions-{target}.json"


@dataclass(frozen=True)
class TrainSettings:
    """How a detector is trained in all phases, beyond its own config.

    Attributes:
        batch_size: Images per step; divides the length of each phase's list.
        seed: In [0, 2**31).
        threads: CPU threads.
        device: `auto` takes a GPU where there is one.
    """

    batch_size: int
    seed: int
    threads: int = 1
    device: Device = "auto"


@dataclass(frozen=True)
class TrainingPhase:
    """A part of a training: a list, and how long and how fast it is learned from.

    The first phase starts from the config's model. Each later one starts from the weights that
    the one before left: the moving average (EMA) of its weights, in half precision, as they
    would be saved. All else starts anew: the optimizer, the moving average, the warm-up over a
    tenth of the phase's epochs, and the linear decay to a hundredth of its learning rate.

    Attributes:
        train: Samples of one data set, with repeats; as many as a multiple of the batch, so
            that every step has a full batch and arms do equal work.
        epochs: Passes over the list.
        learning_rate: Factor on the learning rate of the detector's config.
    """

    train: Sequence[Sample]
    epochs: int
    learning_rate: float = 1.0


@dataclass(frozen=True)
class PhaseSettings:
    """A `TrainingPhase` as a worker is told of it; the list is a file of its own.

    Attributes:
        epochs: Passes over the list.
        learning_rate: Factor on the learning rate of the detector's config.
    """

    epochs: int
    learning_rate: float = 1.0


@dataclass(frozen=True)
class TrainJob:
    """What a worker is given.

    Attributes:
        key: Digest of all that decides the weights.
        detector: The detector's config, as JSON.
        settings: How it is trained.
        phases: In order, one at least.
        targets: Target set to its images' paths, relative to the job folder; image `i` gets
            the COCO image id `i + 1`.
        target_keys: Target set to the digest of its images; earlier sets too.
    """

    key: str
    detector: Mapping[str, Any]
    settings: TrainSettings
    phases: Sequence[PhaseSettings]
    targets: Mapping[str, list[str]]
    target_keys: Mapping[str, str]

    def save(self, job_dir: Path) -> None:
        """Write `job.json`."""
        write_json(job_dir / JOB, asdict(self))

    @classmethod
    def load(cls, job_dir: Path) -> Self:
        """Return the job that `save` wrote."""
        values = read_json(job_dir / JOB)
        settings = TrainSettings(**values["settings"])
        phases = [PhaseSettings(**phase) for phase in values["phases"]]
        return cls(**values | {"settings": settings, "phases": phases})


class Detector(Protocol):
    """A kind of detector: which worker trains it, and in which environment."""

    @property
    def worker(self) -> str:
        """Module run as `python -m <worker> <job folder>`."""

    def check(self, config: DetectorConfig) -> None:
        """Raise `ConfigError` if the detector can't be built here from what the config names."""

    def environment(self, job: TrainJob, job_dir: Path) -> Mapping[str, str]:
        """Return the environment variables that the worker needs."""
