"""A data set of odd files, as users have them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.samples import Annotations, DetectionDataset, Sample, Split

FILES: list[tuple[str, Split, tuple[int, int]]] = [
    ("shots/plain.png", "train", (64, 48)),
    ("shots/größe 東京.JPG", "train", (80, 60)),
    ("shots/twice.png", "val", (64, 48)),
    ("more/twice.jpeg", "val", (50, 70)),
    ("more/background.bmp", "test", (64, 48)),
    ("more/last.tif", "reserve", (31, 33)),
]


@pytest.fixture
def odd_dataset(tmp_path: Path) -> DetectionDataset:
    rng = np.random.default_rng(0)
    root = tmp_path / "source data"
    samples = []
    for number, (name, split, (width, height)) in enumerate(FILES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(path)
        num = 0 if "background" in name else number + 1
        corner = rng.uniform(0, 15, (num, 2)).round(3)
        xyxy = np.hstack([corner, corner + rng.uniform(3, 15, (num, 2)).round(3)])
        if num:
            xyxy[0] = (0, 0, width, height)  # exactly to the edges
        annotations = Annotations(xyxy=xyxy, class_id=rng.integers(0, 3, num))
        sample_id = f"{number}-{path.stem.replace(' ', '_')}"
        samples.append(Sample(sample_id, Path(name), width, height, annotations, split=split))
    return DetectionDataset(root, ("zebra", "rote Blutkörper", "a"), tuple(samples))
