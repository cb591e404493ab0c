import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionControlNetPipeline
from safetensors.torch import load_file
from torch.nn.modules.module import register_module_forward_pre_hook

from synthdata.config.fit import FitConfig
from synthdata.config.generator import ControlNetConfig
from synthdata.errors import ConfigError, DatasetError, TrainingError
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.samples import Annotations, DetectionDataset, GenerationRequest, Layout
from synthdata.training.card import read_card
from synthdata.training.fit import fit_model
from synthdata.training.hardware import choose_hardware
from training.tiny import EMBEDDED, tiny_config

Fitted = tuple[Path, DetectionDataset]


def test_fit_leaves_a_complete_folder(fitted: Fitted) -> None:
    model_dir, train = fitted
    card = read_card(model_dir)

    assert sorted(path.name for path in model_dir.iterdir()) == [
        "generator.json", "losses.csv", "pipeline",
    ]  # fmt: skip
    assert (card.kind, card.pipeline, card.control) == ("embedded", "pipeline", "class_maps")
    assert card.class_names == train.class_names
    assert card.image_size == (64, 48)
    losses = pd.read_csv(model_dir / "losses.csv")
    assert losses.groupby("phase")["step"].max().to_dict() == {
        "autoencoder": 20, "decoder": 10, "denoiser": 40,
    }  # fmt: skip
    assert not losses.isna().any().any()
    phases = card.metrics["phases"]
    assert all(phases[name]["images_per_s"] > 0 for name in ("autoencoder", "decoder", "denoiser"))
    assert card.metrics["peak_rss_mib"] > 100


@pytest.mark.usefixtures("no_sockets")
def test_plain_diffusers_loads_and_runs_the_pipeline(fitted: Fitted) -> None:
    folder = fitted[0] / "pipeline"
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        folder, local_files_only=True, use_safetensors=True
    )
    pipeline.set_progress_bar_config(disable=True)

    images = pipeline(
        prompt="a blood smear with 3 RBC",
        image=torch.zeros(1, 4, 48, 64),
        height=48,
        width=64,
        num_inference_steps=2,
        output_type="np",
    ).images

    assert images.shape == (1, 48, 64, 3)
    assert np.isfinite(images).all()
    weights = {p.suffix for p in folder.rglob("*") if p.stat().st_size > 10_000 and p.is_file()}
    assert weights <= {".safetensors", ".json", ".txt"}


def test_a_complete_folder_is_left_alone(fitted: Fitted) -> None:
    model_dir, train = fitted
    before = (model_dir / "generator.json").stat().st_mtime_ns

    metrics = fit_model(tiny_config(), train, model_dir)

    assert metrics == read_card(model_dir).metrics
    assert (model_dir / "generator.json").stat().st_mtime_ns == before


_FIT = """
import sys
from pathlib import Path
import torch
from synthdata.config.fit import FitConfig
from synthdata.manifest import load_dataset
from synthdata.training.fit import fit_model
torch.set_num_threads(int(sys.argv[4]))
config = FitConfig.model_validate_json(sys.argv[1])
fit_model(config, load_dataset(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def test_a_killed_fit_ends_with_the_weights_of_an_undisturbed_one(
    fitted: Fitted, tmp_path: Path
) -> None:
    model_dir, train = fitted
    config = tiny_config().model_dump_json()
    arguments = [config, str(train.root), str(tmp_path), str(torch.get_num_threads())]
    process = subprocess.Popen(
        [sys.executable, "-c", _FIT, *arguments], stderr=subprocess.PIPE, text=True
    )
    checkpoint = tmp_path / "checkpoints" / "denoiser.pt"
    while not checkpoint.is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert not (tmp_path / "generator.json").exists()
    step = torch.load(checkpoint, weights_only=True)["progress"]["step"]
    assert 0 < step < 40, "killed in the middle of a phase"

    fit_model(tiny_config(), train, tmp_path)

    names = sorted(p.relative_to(model_dir) for p in model_dir.rglob("*.safetensors"))
    assert len(names) == 4
    for name in names:
        undisturbed, resumed = load_file(model_dir / name), load_file(tmp_path / name)
        assert undisturbed.keys() == resumed.keys()
        assert all(torch.equal(undisturbed[key], resumed[key]) for key in undisturbed), name
    for folder in (model_dir, tmp_path):
        assert not (folder / "checkpoints").exists()
    assert (model_dir / "losses.csv").read_bytes() == (tmp_path / "losses.csv").read_bytes()


def test_an_exploding_loss_is_an_error_and_leaves_no_model(fitted: Fitted, tmp_path: Path) -> None:
    wild = EMBEDDED | {"autoencoder": EMBEDDED["autoencoder"] | {"learning_rate": 1e30}}

    with pytest.raises(TrainingError, match=r"phase autoencoder isn't finite .* learning_rate"):
        fit_model(tiny_config(model=wild), fitted[1], tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_pretrained_model_is_named_not_trained(fitted: Fitted, tmp_path: Path) -> None:
    config = FitConfig.model_validate(
        {"model": {"kind": "pretrained", "model": "org/base", "controlnet": "org/control"}}
    )

    metrics = fit_model(config, fitted[1], tmp_path)

    card = read_card(tmp_path)
    assert metrics == {"kind": "pretrained", "model": "org/base", "controlnet": "org/control"}
    assert (card.pipeline, card.controlnet, card.control) == ("org/base", "org/control", "picture")
    assert [path.name for path in tmp_path.iterdir()] == ["generator.json"]


def test_no_train_image_is_an_error(fitted: Fitted, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="at least one train image"):
        fit_model(tiny_config(), fitted[1].split("test"), tmp_path)

    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(ConfigError, match="device is 'cuda' but torch sees no GPU"):
        choose_hardware("cuda")
    assert choose_hardware("auto").device.type == "cpu"


def test_the_clip_is_trained_once_and_told_of_in_the_card(fitted: Fitted, tmp_path: Path) -> None:
    clip = {"crop_size": 32, "crops_per_object": 1, "num_background": 4, "steps": 5}
    config = tiny_config(
        clip=clip,
        model={"kind": "pretrained", "model": "org/base", "controlnet": "org/control"},
    )

    metrics = fit_model(config, fitted[1], tmp_path)
    (tmp_path / "generator.json").unlink()  # as a kill after the CLIP leaves it
    before = (tmp_path / "clip" / "clip.json").stat().st_mtime_ns
    again = fit_model(config, fitted[1], tmp_path)

    assert set(metrics["clip"]) == {"crops", "loss", "train_accuracy"}
    assert again == metrics == read_card(tmp_path).metrics
    assert (tmp_path / "clip" / "clip.json").stat().st_mtime_ns == before


def test_bf16_trains_float32_weights_to_nearly_the_same_loss(
    fitted: Fitted, tmp_path: Path
) -> None:
    # Few steps: where bf16 is emulated each takes a second.
    short = EMBEDDED | {
        "autoencoder": EMBEDDED["autoencoder"] | {"steps": 2, "decoder_steps": 1},
        "denoiser": EMBEDDED["denoiser"] | {"steps": 3},
    }

    metrics = {}
    for precision in ("no", "bf16"):
        config = tiny_config(model=short | {"mixed_precision": precision})
        metrics[precision] = fit_model(config, fitted[1], tmp_path / precision)

    assert [metrics[one]["dtype"] for one in ("no", "bf16")] == ["float32", "bfloat16"]
    plain, bf16 = (metrics[one]["phases"]["denoiser"]["loss"] for one in ("no", "bf16"))
    assert bf16 == pytest.approx(plain, rel=0.05)
    assert bf16 != plain
    pipeline = tmp_path / "bf16" / "pipeline"
    weights = load_file(pipeline / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_memory_format_can_be_switched_and_is_stated(
    fitted: Fitted, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, channels_last: bool
) -> None:
    stated = "channels_last" if channels_last else "contiguous_format"
    formats = {"mixed_precision": "no", "channels_last": channels_last}
    caplog.set_level(logging.INFO)

    with hooked(stated) as held:
        metrics = fit_model(tiny_config(model=EMBEDDED | formats), fitted[1], tmp_path)
        trained = len(held)
        config = ControlNetConfig.model_validate({"kind": "controlnet", "device": "cpu"} | formats)
        generator = ControlNetGenerator(config, tmp_path, class_names=fitted[1].class_names)
        layout = Layout("a", 64, 48, Annotations.empty())
        list(generator.generate([GenerationRequest("a", layout, "a photo", 0)]))

    assert 0 < trained < len(held)
    assert all(held)
    assert metrics["memory_format"] == stated
    assert f"memory_format {stated}" in caplog.text


@contextmanager
def hooked(memory_format: str) -> Iterator[list[bool]]:
    """Note of each 3 by 3 convolution that runs whether its weight lies in that format."""
    held: list[bool] = []

    def note(module: torch.nn.Module, *_: object) -> None:
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            wanted = getattr(torch, memory_format)
            held.append(module.weight.is_contiguous(memory_format=wanted))

    handle = register_module_forward_pre_hook(note)
    yield held
    handle.remove()
