"""Small values for tests; real files, no fakes."""

from pathlib import Path

import numpy as np
from PIL import Image

from synthdata.files import sha256_file
from synthdata.manifest import save_dataset
from synthdata.samples import Annotations, DetectionDataset, Sample, Split

CLASS_NAMES = ("RBC", "WBC", "Platelets")


def random_annotations(
    rng: np.random.Generator, *, num: int = 5, size: tuple[int, int] = (64, 48)
) -> Annotations:
    """Boxes of 6 to 20 pixels inside an image of (width, height) `size`."""
    width, height = size
    side = rng.uniform(6, 20, (num, 2))
    corner = rng.uniform(0, 1, (num, 2)) * (np.array([width, height]) - side)
    return Annotations(
        xyxy=np.hstack([corner, corner + side]), class_id=rng.integers(0, len(CLASS_NAMES), num)
    )


def write_dataset(
    root: Path,
    *,
    num: int = 4,
    split: Split = "train",
    size: tuple[int, int] = (64, 48),
    seed: int = 0,
    prefix: str = "image",
) -> DetectionDataset:
    """Write images with a coloured patch a box, and the manifest."""
    rng = np.random.default_rng(seed)
    palette = np.array([[200, 60, 60], [70, 70, 180], [150, 60, 160]], np.uint8)
    samples = []
    for i in range(num):
        annotations = random_annotations(rng, size=size)
        pixels = rng.integers(180, 220, (size[1], size[0], 3)).astype(np.uint8)
        for (x1, y1, x2, y2), class_id in zip(
            annotations.xyxy.astype(int), annotations.class_id, strict=True
        ):
            pixels[y1:y2, x1:x2] = palette[class_id]
        path = Path("images") / f"{prefix}-{i:03}.png"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / path)
        samples.append(
            Sample(
                sample_id=path.stem,
                path=path,
                width=size[0],
                height=size[1],
                annotations=annotations,
                split=split,
                sha256=sha256_file(root / path),
            )
        )
    dataset = DetectionDataset(root=root, class_names=CLASS_NAMES, samples=tuple(samples))
    save_dataset(dataset)
    return dataset
