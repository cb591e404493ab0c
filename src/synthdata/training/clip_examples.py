"""What the small CLIP is trained on: crops of real objects, and of what is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata.boxes import FloatArray, iou_matrix
from synthdata.config.clip import ClipTrainingConfig
from synthdata.errors import DatasetError
from synthdata.features.base import ImageEncoder
from synthdata.features.crops import CropSettings, square_crops
from synthdata.samples import DetectionDataset, IntArray, Sample
from synthdata.seeding import derive_seed

# Standard deviation of a box's sides, in that of its size: generated objects fit as loosely.
_JITTER: Final = 0.05
# A crop that overlaps an object more than this shows it.
_MAX_IOU: Final = 0.3
# Half of the background lies beside an object, as a box does that was moved off it.
_BESIDE: Final = 0.5
_MOVED: Final = (0.7, 1.3)  # in sizes of the object
_TRIES: Final = 20  # for each background crop; a crowded image may have no room


@dataclass(frozen=True)
class ClipExamples:
    """N encoded crops.

    Attributes:
        features: `(N, D)`.
        caption: `(N,)` class ids; the number of classes stands for background.
    """

    features: FloatArray
    caption: IntArray


def make_clip_examples(
    dataset: DetectionDataset, config: ClipTrainingConfig, *, encoder: ImageEncoder, seed: int
) -> ClipExamples:
    """Return crops of the train split's objects and of background.

    Raises:
        DatasetError: If there is no object.
    """
    crop = CropSettings(config.crop_size, config.margin)
    sizes = np.concatenate(
        [np.zeros((0, 2), np.float32)]
        + [one.annotations.xyxy[:, 2:] - one.annotations.xyxy[:, :2] for one in dataset]
    )
    if not len(sizes):
        raise DatasetError(
            f"fit.clip needs objects, the {len(dataset)} train images have none; set fit.clip "
            "to null"
        )
    features, captions = [], []
    for sample in tqdm(dataset.samples, desc="fit: clip crops", unit="image", disable=None):
        rng = np.random.default_rng(derive_seed(seed, "clip-crops", sample.sample_id))
        objects = _jittered(sample, rng, times=config.crops_per_object)
        background = _background(sample, sizes, config.num_background, rng)
        class_id = np.tile(sample.annotations.class_id, config.crops_per_object)
        caption = np.concatenate([class_id, np.full(len(background), len(dataset.class_names))])
        with Image.open(dataset.image_path(sample)) as image:
            pixels = np.asarray(image.convert("RGB"))
        crops = square_crops(pixels, np.concatenate([objects, background]), crop)
        features.append(encoder.encode(crops))
        captions.append(caption)
    return ClipExamples(np.concatenate(features), np.concatenate(captions))


def _jittered(sample: Sample, rng: np.random.Generator, *, times: int) -> FloatArray:
    """Return the boxes as they are, then with their sides moved a little."""
    xyxy = sample.annotations.xyxy
    size = np.tile(xyxy[:, 2:] - xyxy[:, :2], 2)
    copies = [xyxy] + [xyxy + rng.normal(0, _JITTER, xyxy.shape) * size for _ in range(times - 1)]
    return np.concatenate(copies).astype(np.float32)


def _background(
    sample: Sample, sizes: FloatArray, number: int, rng: np.random.Generator
) -> FloatArray:
    """Return at most `number` boxes of objects' sizes that show none of the image's objects."""
    free = (
        box
        for box in _candidates(sample, sizes, number * _TRIES, rng)
        if iou_matrix(box[None], sample.annotations.xyxy).max(initial=0) <= _MAX_IOU
    )
    chosen = [box for box, _ in zip(free, range(number), strict=False)]
    return np.stack([np.zeros(4, np.float32), *chosen])[1:]


def _candidates(
    sample: Sample, sizes: FloatArray, number: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    xyxy, canvas = sample.annotations.xyxy, np.array([sample.width, sample.height])
    for _ in range(number):
        size = sizes[rng.integers(len(sizes))]
        low = rng.uniform(0, 1, 2) * (canvas - size)
        if len(xyxy) and rng.uniform() < _BESIDE:
            box = xyxy[rng.integers(len(xyxy))]
            size, angle = box[2:] - box[:2], rng.uniform(0, 2 * np.pi)
            direction = np.array([np.cos(angle), np.sin(angle)])
            low = box[:2] + size * direction * rng.uniform(*_MOVED)
        if (low >= 0).all() and (low + size <= canvas).all():
            yield np.concatenate([low, low + size]).astype(np.float32)
