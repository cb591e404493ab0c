"""A small sound data set, in each format, to be broken in one way a test."""

import os
from pathlib import Path

import numpy as np
import pytest
from broken_folders import SAVERS, SIZE, MakeFolder, write_blobs

from synthdata.samples import Annotations, DetectionDataset, Sample, Split


@pytest.fixture
def sound_dataset(tmp_path: Path) -> DetectionDataset:
    """Two classes; two boxes an image; splits of 4, 2 and 2 images."""
    root = tmp_path / "sound"
    splits: list[Split] = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    samples = []
    for number, split in enumerate(splits):
        path = Path(f"img-{number}.png")
        write_blobs(root / path, seed=number)
        annotations = Annotations(
            xyxy=np.array([[4, 6, 20, 30], [30 + number, 8, 50 + number, 40]]),
            class_id=np.array([0, 1]),
        )
        samples.append(Sample(path.stem, path, *SIZE, annotations, split=split))
    return DetectionDataset(root, ("cat", "dog"), tuple(samples))


@pytest.fixture
def make_folder(sound_dataset: DetectionDataset, tmp_path: Path) -> MakeFolder:
    """Write the sound data set in a format, with files of its own (no links)."""

    def make(format_name: str) -> Path:
        folder = tmp_path / format_name
        SAVERS[format_name](sound_dataset, folder)
        for path in folder.rglob("*.png"):
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
        return folder

    return make


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder that holds `bccd/`."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SYNTHDATA_MIRROR", beside))
    if not (folder / "bccd").is_dir():
        pytest.skip("SYNTHDATA_MIRROR names no folder with bccd/")
    return folder
