"""Encoders with random weights in their real formats; no network."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
)

from builders import write_dataset
from synthdata.config.encoder import ClipConfig, InceptionConfig, ThumbnailConfig
from synthdata.config.encoder import Dinov2Config as Dinov2EncoderConfig
from synthdata.config.fidelity import FidelityConfig
from synthdata.config.filter import ManifoldFilterConfig
from synthdata.errors import ConfigError
from synthdata.features import ImageEncoder, build_encoder
from synthdata.features.inception import Inception
from synthdata.fidelity import load_tools, measure_fidelity
from synthdata.samples import UInt8Array

pytestmark = pytest.mark.usefixtures("no_sockets")

TINY: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
}  # fmt: skip
SIZES: dict[str, Any] = {
    "size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28},
}  # fmt: skip


class UntrainedInception(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """Keeps its random weights, whatever file it is given."""

    def load_state_dict(self, state_dict: object, **_: object) -> None:  # type: ignore[override]
        assert state_dict == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    clip = CLIPConfig(
        text_config=TINY | {"vocab_size": 20},
        vision_config=TINY | {"image_size": 28, "patch_size": 7},
        projection_dim=12,
    )
    CLIPModel(clip).save_pretrained(root / "clip")
    CLIPImageProcessor(**SIZES).save_pretrained(root / "clip")
    dinov2 = Dinov2Config(**{k: v for k, v in TINY.items() if k != "intermediate_size"})
    dinov2.image_size, dinov2.patch_size = 28, 14
    Dinov2Model(dinov2).save_pretrained(root / "dinov2")
    BitImageProcessor(**SIZES).save_pretrained(root / "dinov2")
    torch.save({}, root / "empty.pth")
    inception = UntrainedInception(
        "untrained", ["2048"], feature_extractor_weights_path=str(root / "empty.pth")
    )
    torch.save(dict(inception.state_dict()), root / "inception.pth")
    return root


def encoder_of(name: str, folder: Path) -> ImageEncoder:
    match name:
        case "clip":
            return build_encoder(ClipConfig(kind="clip", model=str(folder / name)))
        case "dinov2":
            return build_encoder(Dinov2EncoderConfig(kind="dinov2", model=str(folder / name)))
        case "inception":
            weights = folder / "inception.pth"
            return build_encoder(InceptionConfig(kind="inception", weights=weights))
        case _:
            return build_encoder(ThumbnailConfig(kind="thumbnail"))


def images(num: int) -> list[UInt8Array]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 255, (num, 32, 32, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "dim"), [("clip", 12), ("dinov2", 16), ("inception", 2048), ("thumbnail", 256)]
)
def test_an_image_is_encoded_for_itself(folder: Path, name: str, dim: int) -> None:
    encoder = encoder_of(name, folder)

    together = encoder.encode(images(9))

    assert together.shape == (9, encoder.dim) == (9, dim)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert np.abs(together[0] - together[1]).max() > 1e-3 * np.abs(together).max()
    np.testing.assert_array_equal(encoder.encode(images(9)[5:6]), together[5:6])
    assert encoder.encode([]).shape == (0, dim)


def test_inception_gives_the_logits_of_its_score(folder: Path) -> None:
    config = InceptionConfig(kind="inception", weights=folder / "inception.pth")
    logits = Inception(config, layer="logits_unbiased").encode(images(1))
    assert logits.shape == (1, 1008)
    assert np.ptp(logits) > 0


def test_clip_gives_what_transformers_gives(folder: Path) -> None:
    model = CLIPModel.from_pretrained(folder / "clip").eval()
    processor = CLIPImageProcessor.from_pretrained(folder / "clip")
    with torch.inference_mode():
        pixels = processor(images=images(3), return_tensors="pt")["pixel_values"]
        expected = model.get_image_features(pixels).pooler_output

    found = encoder_of("clip", folder).encode(images(3))

    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_fidelity_is_measured_by_both_layers_of_inception(folder: Path, tmp_path: Path) -> None:
    inception = InceptionConfig(kind="inception", weights=folder / "inception.pth")
    config = FidelityConfig(encoders=(inception,), num_draws=40)
    dataset = write_dataset(tmp_path / "data", num=20, seed=0)
    one_box = [replace(s, annotations=s.annotations.select(np.array([0]))) for s in dataset]
    dataset = replace(dataset, samples=tuple(one_box))
    tools = load_tools(config, tmp_path, dataset.class_names)

    found = measure_fidelity(
        tools, real=dataset, generated=dataset, layouts=dataset.samples, seed=0, work_dir=tmp_path
    )

    rows = {row["metric"]: row for row in found["rows"] if row["of"] == "images"}
    assert rows["kid"]["value"] == rows["kid"]["halves"]
    assert "fewer items can't fill 1008 classes" in rows["inception_score"]["reason"]
    assert {"fid", "precision", "recall", "density", "coverage"} < rows.keys()


def test_other_weights_have_another_digest(folder: Path, tmp_path: Path) -> None:
    encoder = encoder_of("clip", folder)
    before = encoder.weights_sha256
    assert encoder.name == "clip clip", "reports name no folder of this machine"
    model = CLIPModel.from_pretrained(folder / "clip")
    model.visual_projection.weight.data[0, 0] += 1
    model.save_pretrained(tmp_path / "clip")
    CLIPImageProcessor(**SIZES).save_pretrained(tmp_path / "clip")

    assert encoder_of("clip", folder).weights_sha256 == before
    assert encoder_of("clip", tmp_path).weights_sha256 != before


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    model = CLIPModel.from_pretrained(folder / "clip")
    model.config.save_pretrained(tmp_path)
    CLIPImageProcessor(**SIZES).save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")

    with pytest.raises(ConfigError, match="clip .* can't be loaded; expected .* safetensors"):
        build_encoder(ClipConfig(kind="clip", model=str(tmp_path)))


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_inception_weights_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Touch(tmp_path / "ran")}, tmp_path / "weights.pth")

    with pytest.raises(ConfigError, match=r"weights\.pth can't be loaded; expected torch-fidel"):
        build_encoder(InceptionConfig(kind="inception", weights=tmp_path / "weights.pth"))

    assert not (tmp_path / "ran").exists()


def test_a_missing_model_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else the hub's client would try for half a minute.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="dinov2 'nowhere/nothing' can't be loaded"):
        build_encoder(Dinov2EncoderConfig(kind="dinov2", model="nowhere/nothing"))
    with pytest.raises(ConfigError, match="inception: .* can't be loaded"):
        build_encoder(InceptionConfig(kind="inception", weights=tmp_path / "none.pth"))


def test_two_encoders_of_one_name_are_an_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "dinov2", tmp_path / "dinov2")
    encoders = tuple(
        Dinov2EncoderConfig(kind="dinov2", model=str(root / "dinov2"))
        for root in (folder, tmp_path)
    )
    with pytest.raises(ConfigError, match="couldn't tell .* apart"):
        load_tools(FidelityConfig(encoders=encoders), tmp_path, ["RBC"])


def test_encoders_are_chosen_in_the_config() -> None:
    section = {"kind": "manifold", "encoder": {"kind": "clip", "model": "org/clip"}}

    encoder = ManifoldFilterConfig.model_validate(section).encoder

    assert isinstance(encoder, ClipConfig)
    assert encoder.revision is None
