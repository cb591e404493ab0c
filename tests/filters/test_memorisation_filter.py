from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from builders import write_dataset
from synthdata.config.filter import MemorisationFilterConfig
from synthdata.features import build_encoder
from synthdata.filters.base import ImageScore
from synthdata.filters.memorisation import score_by_memorisation
from synthdata.samples import DetectionDataset, UInt8Array

CONFIG = MemorisationFilterConfig(kind="memorisation")
SIZE = (96, 72)


def score(train: DetectionDataset, pool: DetectionDataset) -> list[ImageScore]:
    encoder = build_encoder(CONFIG.encoder)
    cache_dir = pool.root / "features"
    return score_by_memorisation(
        CONFIG, encoder=encoder, train=train, pool=pool, cache_dir=cache_dir
    )


def copied(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Cut 5 % off, mirror and add noise."""
    height, width = (round(side * 0.95) for side in image.shape[:2])
    y, x = (int(rng.integers(3)) for _ in range(2))
    cut = Image.fromarray(image[y : y + height, x : x + width]).resize(SIZE)
    mirrored = np.asarray(cut, float)[:, :: rng.choice([-1, 1])]
    noise: UInt8Array = np.clip(mirrored + rng.normal(0, 12, mirrored.shape), 0, 255).astype("u1")
    return noise


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("train"), num=12, seed=1, size=SIZE)


@pytest.fixture(scope="module")
def pool(train: DetectionDataset, tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    """Twelve new images; the odd ones are copies instead."""
    dataset = write_dataset(tmp_path_factory.mktemp("pool"), num=24, seed=2, size=SIZE)
    rng = np.random.default_rng(0)
    for sample, original in zip(dataset.samples[1::2], train, strict=True):
        with Image.open(train.image_path(original)) as image:
            pixels = np.asarray(image)
        Image.fromarray(copied(pixels, rng)).save(dataset.image_path(sample))
    return dataset


def test_noisy_mirrored_and_shifted_copies_score_below_new_images(
    train: DetectionDataset, pool: DetectionDataset
) -> None:
    scores = score(train, pool)
    values = [one.score for one in scores]

    assert roc_auc_score([1, 0] * 12, values) > 0.95
    assert np.median(values[::2]) == 1
    assert np.median(values[1::2]) < CONFIG.min_score
    assert scores[1].detail.endswith(f"to {train.samples[0].sample_id}")
    assert scores[23].detail.endswith(f"to {train.samples[11].sample_id}")


def test_an_image_is_scored_for_itself(train: DetectionDataset, pool: DetectionDataset) -> None:
    part = replace(pool, samples=pool.samples[5:2:-1])

    assert score(train, part) == score(train, pool)[5:2:-1]
    assert score(train, replace(pool, samples=())) == []


def test_one_train_image_is_nothing_to_go_by(
    train: DetectionDataset, pool: DetectionDataset
) -> None:
    alone = replace(train, samples=train.samples[:1])

    assert [one.score for one in score(alone, pool)] == [None] * 24


def test_a_scene_photographed_twice_makes_copies_no_less_suspect(
    train: DetectionDataset, pool: DetectionDataset
) -> None:
    again = tuple(replace(one, sample_id=f"{one.sample_id}-again") for one in train.samples[:2])
    twice = replace(train, samples=(*train.samples, *again))

    assert [one.score for one in score(twice, pool)] == pytest.approx(
        [one.score for one in score(train, pool)], rel=0.1
    )


def test_train_images_themselves_score_zero(train: DetectionDataset) -> None:
    assert [one.score for one in score(train, train)] == pytest.approx([0] * 12, abs=1e-6)
