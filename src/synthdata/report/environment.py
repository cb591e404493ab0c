"""What computed the run: versions, devices, encoders. Names no machine, user or path."""

import importlib.metadata
import os
import platform
from collections.abc import Mapping

from synthdata.config import STAGES
from synthdata.report.run import Run

_PACKAGES = ("synthdata", "torch", "diffusers", "transformers", "ultralytics-opencv-headless",
             "albumentations", "numpy", "scipy", "scikit-learn", "pandas", "pillow", "dvc",
             "prefect")  # fmt: skip
_TOLD = ("device", "dtype", "encoder", "fallback")


def describe_environment(run: Run) -> dict[str, str]:
    """Return names and values: this process's software, then what the stages were run on."""
    found = {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "CPU cores": str(os.cpu_count()),
    }
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for stage in STAGES[:-1]:
        told = sorted({line for folder in run.computed(stage) for line in _told(folder.metrics)})
        if told:
            found[f"stage {stage}"] = ", ".join(told)
    return found


def _told(value: object, name: str = "") -> list[str]:
    """Return what a stage's metrics say, at any depth, about devices and encoders."""
    if name == "encoder" and isinstance(value, Mapping):
        return [f"encoder {value['name']}"]
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _told(item, str(key))]
    if isinstance(value, list):
        return [line for item in value for line in _told(item, name)]
    if name in _TOLD and value not in (None, "", False):
        return [f"{name} {value}"]
    return []
