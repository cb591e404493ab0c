"""Which folders of pretrained parts load, and which are refused."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor

from generators.test_controlnet import images, requests
from synthdata.errors import ConfigError, GenerationError
from synthdata.files import read_json, write_json
from synthdata.samples import DetectionDataset
from synthdata.training.card import read_card
from synthdata.training.families import family_of
from synthdata.training.fit import fit_model
from training.tiny_bases import (
    BASES,
    Bases,
    each_format,
    fit_config,
    pytestmark,
    save_base,
)

__all__ = ["pytestmark"]


def test_a_base_with_a_feature_extractor_of_old_loads(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    """As Stable Diffusion's own folders have one, whose class transformers has no longer."""
    base = tmp_path / "base"
    shutil.copytree(bases["sd"], base)
    CLIPImageProcessor().save_pretrained(base / "feature_extractor")
    index = read_json(base / "model_index.json")
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    write_json(base / "model_index.json", index)

    fit_model(fit_config(base), train, tmp_path / "fit")

    assert images((tmp_path / "fit", train), requests(1), scheduler="own")[0].std() > 1


@each_format
def test_pickled_weights_are_refused(train: DetectionDataset, tmp_path: Path, name: str) -> None:
    base = save_base(BASES[name], tmp_path / "base", safe=False)

    with pytest.raises(GenerationError, match=r"holds pickled weights \(.*\.bin\)"):
        fit_model(fit_config(base), train, tmp_path / "fit")


def test_one_pickled_part_is_enough(bases: Bases, train: DetectionDataset, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for part in bases["sdxl"].iterdir():
        (tmp_path / "base" / part.name).symlink_to(part)
    (tmp_path / "base" / "text_encoder_2").unlink()
    whole = save_base(BASES["sdxl"], tmp_path / "pickled", safe=False)
    (tmp_path / "base" / "text_encoder_2").symlink_to(whole / "text_encoder_2")
    if not list((whole / "text_encoder_2").glob("*.bin")):
        pickle = tmp_path / "pickled" / "text_encoder_2" / "pytorch_model.bin"
        (whole / "text_encoder_2" / "model.safetensors").rename(pickle)

    with pytest.raises(GenerationError, match=r"text_encoder_2 holds pickled weights"):
        fit_model(fit_config(tmp_path / "base"), train, tmp_path / "fit")


@pytest.mark.parametrize(
    ("name", "part", "key"),
    [
        ("sd", "unet", "conv_out.weight"),
        ("sd", "vae", "decoder.conv_out.weight"),
        ("sdxl", "text_encoder_2", "text_projection.weight"),
        ("flux", "text_encoder_2", "encoder.final_layer_norm.weight"),
    ],
)
def test_incomplete_weights_are_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str, part: str, key: str
) -> None:
    """The libraries fill missing ones with random numbers and a warning."""
    base = tmp_path / "base"
    shutil.copytree(bases[name], base)
    (path,) = (base / part).glob("*.safetensors")
    tensors = load_file(path)
    tensors.pop(key)
    save_file(tensors, path, metadata={"format": "pt"})

    with pytest.raises(GenerationError, match=rf"{part} of .* lacks 1 of the weights .*{key}"):
        fit_model(fit_config(base), train, tmp_path / "out")

    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GenerationError, match=r"can't be loaded; it must be a folder"):
        fit_model(fit_config(base), train, tmp_path / "out")


def test_pickles_that_the_pipeline_does_not_load_are_left_alone(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    """Folders of SDXL hold copies of its autoencoder for other programs."""
    shutil.copytree(bases["sd"], tmp_path / "base")
    (tmp_path / "base" / "vae_decoder").mkdir()
    (tmp_path / "base" / "vae_decoder" / "openvino_model.bin").touch()
    (tmp_path / "base" / "original.ckpt").touch()

    fit_model(fit_config(tmp_path / "base"), train, tmp_path / "fit")

    assert read_card(tmp_path / "fit").trained_controlnet == "controlnet"


def test_other_pipelines_are_refused() -> None:
    with pytest.raises(ConfigError, match="base is a KandinskyPipeline; expected one of Stable"):
        family_of("KandinskyPipeline")
