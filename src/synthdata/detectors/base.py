"""What every detector shares: a process of its own with files in and files out.

A training lives in a job folder. In go `job.json` (a `TrainJob`) and `scratch/data/`, a data
set in both YOLO form (`data.yaml`, `train.txt` with repeats, `images/`, `labels/`) and COCO form
(`annotations.json`). Out come, each under its final name only when whole,

- `weights.pt`: the last epoch's weights; never chosen by a score on val or test,
- `losses.csv`: `epoch` (from 1) and a column a loss, such as `box`, `cls`, `dfl`,
- `training.json`: `steps` (optimizer steps really made), `seconds`, `cpu_seconds`, `num_images`,
  `num_parameters`, `device`, `versions`; written last, so that a job with it is trained,
- `predictions-<target>.json`: COCO results for each target set.

A worker does what is missing: it trains where there is no `training.json`, then predicts each
target that has no predictions. The process boundary gives each training its own threads, seeds
and memory, and keeps a detector library's licence out of this package.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from synthdata.config.base import Device
from synthdata.config.detector import DetectorConfig
from synthdata.files import read_json, write_json

JOB = "job.json"
SCRATCH = "scratch"
DATA = f"{SCRATCH}/data"
WEIGHTS = "weights.pt"
LOSSES = "losses.csv"
TRAINING = "training.json"


def predictions_path(job_dir: Path, target: str) -> Path:
    """Return where a job's predictions for a target set are."""
    return job_dir / f"predictions-{target}.json"


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


@dataclass(frozen=True)
class TrainJob:
    """What a worker is given.

    Attributes:
        key: Digest of all that decides the weights.
        detector: The detector's config, as JSON.
        settings: How it is trained.
        targets: Target set to its images' paths, relative to the job folder; image `i` gets
            the COCO image id `i + 1`.
        target_keys: Target set to the digest of its images; earlier sets too.
    """

    key: str
    detector: Mapping[str, Any]
    settings: TrainSettings
    targets: Mapping[str, list[str]]
    target_keys: Mapping[str, str]

    def save(self, job_dir: Path) -> None:
        """Write `job.json`."""
        write_json(job_dir / JOB, asdict(self))

    @classmethod
    def load(cls, job_dir: Path) -> Self:
        """Return the job that `save` wrote."""
        values = read_json(job_dir / JOB)
        return cls(**values | {"settings": TrainSettings(**values["settings"])})


class Detector(Protocol):
    """A kind of detector: which worker trains it, and in which environment."""

    @property
    def worker(self) -> str:
        """Module run as `python -m <worker> <job folder>`."""

    def check(self, config: DetectorConfig) -> None:
        """Raise `ConfigError` if the detector can't be built here from what the config names."""

    def environment(self, job: TrainJob, job_dir: Path) -> Mapping[str, str]:
        """Return the environment variables that the worker needs."""
