from pathlib import Path

import pytest

from synthdata.samples import DetectionDataset
from training.tiny import fit_once


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DetectionDataset]:
    return fit_once(tmp_path_factory)
