"""Features on disk, an image a file, under the digest of all that made them."""

from pathlib import Path

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.features.base import ImageEncoder
from synthdata.features.crops import CropSettings
from synthdata.files import replacing, sha256_json


class FeatureCache:
    """Features of crops or whole images, found by encoder, weights, image, boxes and crop settings.

    Args:
        root: Its folder, made when something is stored.
        encoder: Whose features.
        crop: How crops are cut.
    """

    def __init__(self, root: Path, encoder: ImageEncoder, crop: CropSettings) -> None:
        self._root = root
        self._made_by = [
            encoder.name, encoder.weights_sha256, encoder.dim, crop.size, crop.margin,
        ]  # fmt: skip

    def load(self, image_sha256: str, xyxy: FloatArray) -> FloatArray | None:
        """Return the `(N, D)` features of an image's N boxes, or None."""
        path = self._path(image_sha256, xyxy)
        if not path.is_file():
            return None
        features: FloatArray = np.load(path, allow_pickle=False)
        return features

    def store(self, image_sha256: str, xyxy: FloatArray, features: FloatArray) -> None:
        """Keep the features; the file appears whole or not at all."""
        with replacing(self._path(image_sha256, xyxy), sync=False) as temporary:
            np.save(temporary, features, allow_pickle=False)

    def _path(self, image_sha256: str, xyxy: FloatArray) -> Path:
        key = sha256_json([*self._made_by, image_sha256, xyxy.tolist()])
        return self._root / key[:2] / f"{key}.npy"
