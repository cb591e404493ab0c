"""The smallest real model: seconds to fit, every part of the real one."""

from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from synthdata.config.fit import FitConfig
from synthdata.samples import DetectionDataset
from synthdata.training.fit import fit_model

EMBEDDED: dict[str, Any] = {
    "kind": "embedded",
    "crops": {"num_crops": 12, "size": [48, 40], "flip_ud": 0.5},
    "autoencoder": {
        "channels": 8, "steps": 20, "decoder_steps": 10, "batch_size": 4, "crop_size": 32,
        "learning_rate": 5e-3,
    },
    "denoiser": {
        "block_out_channels": [16, 24], "cross_attention_dim": 16, "steps": 40, "batch_size": 2,
        "ema_decay": 0.9,
    },
}  # fmt: skip


def tiny_config(**values: Any) -> FitConfig:
    return FitConfig.model_validate(
        {
            "seed": 3,
            "prompt_template": "a blood smear with {objects}",
            "device": "cpu",
            "checkpoint_every_s": 1e-3,
            "model": EMBEDDED,
        }
        | values
    )


def train_split(root: Path) -> DetectionDataset:
    return write_dataset(root, num=4, size=(64, 48))


_FITTED: dict[str, tuple[Path, DetectionDataset]] = {}


def fit_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DetectionDataset]:
    """Return the folder of one undisturbed fit and its train split, made once a process."""
    if not _FITTED:
        root = tmp_path_factory.mktemp("fitted")
        train = train_split(root / "train")
        fit_model(tiny_config(), train, root / "fit")
        _FITTED["model"] = (root / "fit", train)
    return _FITTED["model"]
