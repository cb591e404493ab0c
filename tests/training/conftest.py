from pathlib import Path

import pytest

from synthdata.samples import DetectionDataset
from training.tiny import fit_once, train_split
from training.tiny_bases import BASES, Bases, save_base


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DetectionDataset]:
    return fit_once(tmp_path_factory)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    root = tmp_path_factory.mktemp("bases")
    return {name: save_base(build, root / name) for name, build in BASES.items()}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return train_split(tmp_path_factory.mktemp("train"))
