"""Reads the numbers in a detector's weights."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt


def tensors(weights: Path) -> dict[str, bytes]:
    """Return the tensors in a torch file, without unpickling; its dates and paths differ by run."""
    with zipfile.ZipFile(weights) as archive:
        names = [name for name in archive.namelist() if "/data/" in name]
        return {Path(name).name: archive.read(name) for name in names}


def parameters(weights: Path) -> npt.NDArray[np.float64]:
    """Return the model's numbers as one vector; all but its counters are in half precision."""
    stored = [value for value in tensors(weights).values() if len(value) > 8]
    return np.concatenate([np.frombuffer(value, np.float16) for value in stored]).astype(float)
