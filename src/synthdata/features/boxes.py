"""Features of all objects of a data set: each box's crop, encoded."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from synthdata.boxes import FloatArray
from synthdata.features.base import ImageEncoder
from synthdata.features.cache import FeatureCache
from synthdata.features.crops import CropSettings, square_crops
from synthdata.files import sha256_file
from synthdata.samples import DetectionDataset, IntArray, Sample, UInt8Array

_CROPS_AT_ONCE: Final = 256  # between two writes to the cache


@dataclass(frozen=True)
class BoxFeatures:
    """Vectors of N objects, image by image, in the order of their annotations.

    Attributes:
        features: `(N, D)`.
        image: `(N,)` the image's place in the data set.
        class_id: `(N,)`.
    """

    features: FloatArray
    image: IntArray
    class_id: IntArray

    def select(self, chosen: npt.NDArray[np.bool_]) -> "BoxFeatures":
        """Return the objects where `chosen` is true."""
        return BoxFeatures(self.features[chosen], self.image[chosen], self.class_id[chosen])


def box_features(
    dataset: DetectionDataset, *, encoder: ImageEncoder, crop: CropSettings, cache: FeatureCache
) -> BoxFeatures:
    """Return the features of each box; those that the cache has aren't computed again."""
    known: dict[int, FloatArray] = {}
    waiting: list[tuple[int, Sample, str]] = []
    num_waiting = 0
    for index, sample in enumerate(
        tqdm(dataset.samples, desc="encode crops", unit="image", disable=None)
    ):
        digest = sample.sha256 or sha256_file(dataset.image_path(sample))
        found = cache.load(digest, sample.annotations.xyxy)
        if found is not None:
            known[index] = found
            continue
        waiting.append((index, sample, digest))
        num_waiting += len(sample.annotations)
        if num_waiting >= _CROPS_AT_ONCE:
            known |= _encode(dataset, waiting, encoder, crop, cache)
            waiting, num_waiting = [], 0
    known |= _encode(dataset, waiting, encoder, crop, cache)
    counts = [len(sample.annotations) for sample in dataset]
    return BoxFeatures(
        features=np.concatenate(
            [np.zeros((0, encoder.dim), np.float32), *(known[i] for i in range(len(dataset)))]
        ),
        image=np.repeat(np.arange(len(dataset)), counts),
        class_id=np.concatenate(
            [np.zeros(0, np.int64), *(s.annotations.class_id for s in dataset)]
        ),
    )


def _encode(
    dataset: DetectionDataset,
    waiting: list[tuple[int, Sample, str]],
    encoder: ImageEncoder,
    crop: CropSettings,
    cache: FeatureCache,
) -> dict[int, FloatArray]:
    crops: list[UInt8Array] = []
    for _, sample, _ in waiting:
        with Image.open(dataset.image_path(sample)) as image:
            pixels = np.asarray(image.convert("RGB"))
        crops += square_crops(pixels, sample.annotations.xyxy, crop)
    features = encoder.encode(crops)
    result, start = {}, 0
    for index, sample, digest in waiting:
        end = start + len(sample.annotations)
        result[index] = features[start:end]
        cache.store(digest, sample.annotations.xyxy, features[start:end])
        start = end
    return result
