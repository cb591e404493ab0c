"""A detector small enough to be trained in a test, and arms to train it on."""

import shutil
from pathlib import Path

import pytest

from builders import write_dataset
from synthdata.armfolder import PHASES
from synthdata.config.detector import UltralyticsConfig
from synthdata.config.train import TrainConfig
from synthdata.files import write_json

LIST_LENGTH = 8


@pytest.fixture(scope="session")
def config() -> UltralyticsConfig:
    """An eighth of a YOLO on 64 pixels, with an albumentations policy that draws at random."""
    return UltralyticsConfig(
        kind="ultralytics",
        model="yolov8p.yaml",
        image_size=64,
        learning_rate=0.004,
        augmentations=({"GaussNoise": {"std_range": [0.1, 0.3], "p": 0.5}},),
    )


@pytest.fixture(scope="session")
def section(config: UltralyticsConfig) -> TrainConfig:
    return TrainConfig(detector=config, epochs=2, batch_size=4, device="cpu")


@pytest.fixture(scope="session")
def version_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms of 3 and 5 images, listed up to 8 with repeats, and two evaluation splits."""
    root = tmp_path_factory.mktemp("version")
    for seed, (name, num) in enumerate({"real": 3, "synthetic": 5}.items()):
        folder = root / "arms" / name
        samples = write_dataset(folder, num=num, seed=seed, prefix=name).samples
        lines = [f"./{samples[i % num].path.as_posix()}" for i in range(LIST_LENGTH)]
        (folder / "train.txt").write_text("\n".join(lines) + "\n")
        write_json(folder / PHASES, [{"list": "train.txt", "steps": 1.0, "learning_rate": 1.0}])
    write_dataset(root / "eval" / "val", num=3, seed=10, split="val", prefix="val", size=(160, 120))
    write_dataset(root / "eval" / "test", num=2, seed=11, split="test", prefix="test")
    return root


@pytest.fixture
def own_version_dir(version_dir: Path, tmp_path: Path) -> Path:
    """A copy of the arms that a test may change."""
    return Path(shutil.copytree(version_dir, tmp_path / "version"))
