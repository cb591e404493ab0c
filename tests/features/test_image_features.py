from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import write_dataset
from synthdata.boxes import FloatArray
from synthdata.config.encoder import EfficientNetConfig
from synthdata.features import ImageEncoder, build_encoder
from synthdata.features.images import image_features
from synthdata.samples import DetectionDataset, UInt8Array


class Counting:
    """EfficientNet, and how many images it was given."""

    def __init__(self) -> None:
        self._encoder = build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))
        self.name, self.dim = self._encoder.name, self._encoder.dim
        self.weights_sha256 = self._encoder.weights_sha256
        self.num_images = 0

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        self.num_images += len(images)
        return self._encoder.encode(images)


def features_of(
    dataset: DetectionDataset,
    cache_dir: Path,
    *,
    encoder: ImageEncoder | None = None,
    mirrored: bool = False,
    size: int = 64,
) -> FloatArray:
    return image_features(
        dataset, encoder=encoder or Counting(), size=size, cache_dir=cache_dir, mirrored=mirrored
    )


def test_a_mirrored_image_has_the_features_of_its_mirror_image(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, num=2, seed=0)
    plain = features_of(dataset, tmp_path / "cache")
    mirrored = features_of(dataset, tmp_path / "cache", mirrored=True)
    assert plain.shape == (2, 1280)
    assert mirrored.shape == (8, 1280)
    np.testing.assert_allclose(mirrored[::4], plain, rtol=1e-4, atol=1e-5)

    path = dataset.image_path(dataset.samples[1])
    with Image.open(path) as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_180)
    turned.save(path)
    found = features_of(dataset, tmp_path / "another")
    np.testing.assert_allclose(found[1], mirrored[7], rtol=1e-3, atol=1e-4)
    assert np.abs(found[1] - plain[1]).max() == pytest.approx(
        np.abs(mirrored[7] - mirrored[4]).max(), rel=1e-2
    )


def test_features_do_not_depend_on_how_many_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_dataset(tmp_path, num=5, seed=0)
    whole = features_of(dataset, tmp_path / "whole", mirrored=True)
    monkeypatch.setattr("synthdata.features.images._AT_ONCE", 2)
    parts = features_of(dataset, tmp_path / "parts", mirrored=True)

    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert features_of(replace(dataset, samples=()), tmp_path / "none").shape == (0, 1280)


def test_what_the_cache_has_is_not_encoded_again(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, num=5, seed=0)
    cache = tmp_path / "cache"
    some = replace(dataset, samples=dataset.samples[1:3])
    first = features_of(some, cache, mirrored=True)

    encoder = Counting()
    everything = features_of(dataset, cache, encoder=encoder, mirrored=True)
    assert encoder.num_images == 4 * 3
    np.testing.assert_array_equal(everything[4:12], first)

    again = features_of(dataset, cache, encoder=encoder, mirrored=True)
    assert encoder.num_images == 4 * 3
    np.testing.assert_array_equal(again, everything)

    # Another size and plain images are other features.
    features_of(some, cache, encoder=encoder, mirrored=True, size=48)
    features_of(some, cache, encoder=encoder)
    assert encoder.num_images == 4 * 3 + 4 * 2 + 2
