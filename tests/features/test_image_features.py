from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import write_dataset
from synthdata.config.encoder import EfficientNetConfig
from synthdata.features import build_encoder
from synthdata.features.images import image_features


def test_a_mirrored_image_has_the_features_of_its_mirror_image(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, num=2, seed=0)
    encoder = build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))
    plain = image_features(dataset, encoder=encoder, size=64)
    mirrored = image_features(dataset, encoder=encoder, size=64, mirrored=True)
    assert plain.shape == (2, encoder.dim)
    assert mirrored.shape == (8, encoder.dim)
    np.testing.assert_allclose(mirrored[::4], plain, rtol=1e-4, atol=1e-5)

    path = dataset.image_path(dataset.samples[1])
    with Image.open(path) as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_180)
    turned.save(path)
    found = image_features(dataset, encoder=encoder, size=64)
    np.testing.assert_allclose(found[1], mirrored[7], rtol=1e-3, atol=1e-4)
    assert np.abs(found[1] - plain[1]).max() == pytest.approx(
        np.abs(mirrored[7] - mirrored[4]).max(), rel=1e-2
    )


def test_features_do_not_depend_on_how_many_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_dataset(tmp_path, num=5, seed=0)
    encoder = build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))
    whole = image_features(dataset, encoder=encoder, size=64, mirrored=True)
    monkeypatch.setattr("synthdata.features.images._AT_ONCE", 2)
    parts = image_features(dataset, encoder=encoder, size=64, mirrored=True)

    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert image_features(replace(dataset, samples=()), encoder=encoder, size=64).shape[0] == 0
