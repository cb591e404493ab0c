from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import write_dataset
from synthdata.boxes import FloatArray
from synthdata.config.encoder import EfficientNetConfig
from synthdata.features import ImageEncoder, build_encoder
from synthdata.features.boxes import box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.crops import CropSettings, square_crops
from synthdata.files import sha256_file
from synthdata.samples import Annotations, DetectionDataset, UInt8Array

CROP = CropSettings(size=32, margin=0.2)


class MeanColour:
    """The simplest encoder: what the crops' mean colour is. Counts what it was given."""

    name = "mean-colour"
    dim = 3
    weights_sha256 = ""

    def __init__(self) -> None:
        self.num_encoded = 0

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        self.num_encoded += len(images)
        return np.array([i.mean(axis=(0, 1)) for i in images], np.float32).reshape(-1, 3)


@pytest.fixture(scope="module")
def efficientnet() -> ImageEncoder:
    return build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))


def noise(num: int, size: int = 48) -> list[UInt8Array]:
    rng = np.random.default_rng(0)
    return [
        np.clip(rng.normal(rng.uniform(60, 200), 40, (size, size, 3)), 0, 255).astype(np.uint8)
        for _ in range(num)
    ]


def test_efficientnet_encodes_each_image_for_itself(efficientnet: ImageEncoder) -> None:
    images = noise(35)  # one more batch than one
    together = efficientnet.encode(images)
    assert together.shape == (35, efficientnet.dim) == (35, 1280)
    assert together.dtype == np.float32
    assert np.linalg.norm(together[0] - together[1]) > 1
    np.testing.assert_allclose(efficientnet.encode(images[::-1])[::-1], together, atol=1e-5)
    np.testing.assert_allclose(efficientnet.encode(images[33:34]), together[33:34], atol=1e-5)


def test_efficientnet_has_imagenet_weights(efficientnet: ImageEncoder) -> None:
    # The package's file name carries the first digits.
    assert efficientnet.weights_sha256.startswith("57934424")
    assert efficientnet.encode([]).shape == (0, 1280)


def test_features_follow_images_and_boxes(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", num=3)
    empty = replace(dataset.samples[1], annotations=Annotations.empty())
    dataset = replace(dataset, samples=(dataset.samples[0], empty, dataset.samples[2]))
    encoder = MeanColour()
    cache = FeatureCache(tmp_path / "cache", encoder, CROP)
    found = box_features(dataset, encoder=encoder, crop=CROP, cache=cache)
    assert found.image.tolist() == [0] * 5 + [2] * 5
    assert found.class_id.tolist() == [
        *dataset.samples[0].annotations.class_id, *dataset.samples[2].annotations.class_id,
    ]  # fmt: skip
    # The class's colour (builders.write_dataset) is strongest in the middle of its box.
    strongest = np.array([0, 2, 0])
    alike = found.features.argmax(axis=1) == strongest[found.class_id]
    assert alike.mean() > 0.6
    chosen = found.select(found.image == 2)
    np.testing.assert_array_equal(chosen.features, found.features[5:])


def test_a_data_set_without_objects(tmp_path: Path) -> None:
    dataset = DetectionDataset(tmp_path, ("a",))
    encoder = MeanColour()
    cache = FeatureCache(tmp_path / "cache", encoder, CROP)
    assert box_features(dataset, encoder=encoder, crop=CROP, cache=cache).features.shape == (0, 3)


def test_cached_features_are_not_computed_again(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", num=4)
    first, second = MeanColour(), MeanColour()
    before = box_features(
        replace(dataset, samples=dataset.samples[:3]),
        encoder=first, crop=CROP, cache=FeatureCache(tmp_path / "cache", first, CROP),
    )  # fmt: skip
    after = box_features(
        dataset, encoder=second, crop=CROP, cache=FeatureCache(tmp_path / "cache", second, CROP)
    )
    assert first.num_encoded == 15
    assert second.num_encoded == 5
    np.testing.assert_array_equal(after.features[:15], before.features)


def test_the_cache_knows_what_made_a_feature(tmp_path: Path) -> None:
    encoder = MeanColour()
    boxes = np.array([[0, 0, 8, 8]], np.float32)
    cache = FeatureCache(tmp_path, encoder, CROP)
    cache.store("image", boxes, np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(cache.load("image", boxes), np.ones((1, 3)))  # type: ignore[arg-type]
    assert cache.load("other image", boxes) is None
    assert cache.load("image", boxes + 1) is None
    assert FeatureCache(tmp_path, encoder, CropSettings(32, 0.3)).load("image", boxes) is None
    other = MeanColour()
    other.weights_sha256 = "other weights"
    assert FeatureCache(tmp_path, other, CROP).load("image", boxes) is None


def test_an_image_is_known_by_its_bytes(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", num=1)
    sample = replace(dataset.samples[0], sha256="")
    encoder = MeanColour()
    cache = FeatureCache(tmp_path / "cache", encoder, CROP)
    box_features(replace(dataset, samples=(sample,)), encoder=encoder, crop=CROP, cache=cache)
    digest = sha256_file(dataset.image_path(sample))
    assert cache.load(digest, sample.annotations.xyxy) is not None


def test_crop_size_is_the_encoders(efficientnet: ImageEncoder) -> None:
    image = noise(1)[0]
    boxes = np.array([[4, 4, 40, 30]], np.float32)
    small, large = (
        efficientnet.encode(square_crops(image, boxes, CropSettings(size, 0.2)))
        for size in (32, 64)
    )
    assert small.shape == large.shape
    assert not np.allclose(small, large)
