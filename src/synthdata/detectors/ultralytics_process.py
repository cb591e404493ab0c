"""What every process that imports ultralytics does first.

Nothing reaches for the network. What weights and an architecture's YAML contain is read without
running code in it, unless the config trusts them.
"""

import socket
import sys
from pathlib import Path
from typing import Any

# torch first: ultralytics would set its number of threads otherwise.
import torch
import ultralytics
from matplotlib import get_data_path
from ultralytics.utils import SAFE_LOAD
from ultralytics.utils.callbacks import platform

from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import SCRATCH, TrainJob
from synthdata.errors import TrainingError


def set_up(config: UltralyticsConfig, job: TrainJob, job_dir: Path) -> None:
    """Keep this process offline and on its threads, with nothing read that can run code.

    Raises:
        TrainingError: If weights could run code, and the config doesn't trust them.
    """
    if not SAFE_LOAD and not config.trust_weights:
        raise TrainingError("ULTRALYTICS_SAFE_LOAD must be 1, so that no weights can run code")
    if not config.allow_download:
        _refuse_connections()
    torch.set_num_threads(job.settings.threads)
    torch.set_flush_denormal(True)
    _keep_offline(job_dir / SCRATCH)


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
