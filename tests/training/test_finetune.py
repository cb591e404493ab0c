"""Fine-tuning of pretrained bases: what is trained, saved and used."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxControlNetPipeline, StableDiffusionXLControlNetPipeline
from safetensors.torch import load_file

from generators.test_controlnet import images, requests
from synthdata.conditioning import control_picture
from synthdata.config.generator import ControlNetConfig
from synthdata.errors import ConfigError, GenerationError
from synthdata.generators import build_generator
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.samples import Annotations, DetectionDataset, Layout
from synthdata.training.card import read_card
from synthdata.training.families import Trainee
from synthdata.training.families.flux import _pack, _positions
from synthdata.training.families.sd import StableDiffusion
from synthdata.training.families.sdxl import StableDiffusionXL
from synthdata.training.fit import fit_model
from synthdata.training.lora import add_adapters
from synthdata.training.pretrained import load_scheduler
from training.tiny import tiny_config
from training.tiny_bases import (
    Bases,
    each_format,
    fit_config,
    pytestmark,
    same,
    save_base,
    sd_base,
    tuned,
    weights,
)

__all__ = ["pytestmark"]


@pytest.mark.usefixtures("no_sockets")
@each_format
def test_train_save_reload_generate(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    config = fit_config(bases[name], learning_rate=3e-2)

    metrics = fit_model(config, train, tmp_path)

    card = read_card(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "controlnet", "generator.json", "losses.csv",
    ]  # fmt: skip
    assert (card.trained_controlnet, card.lora) == ("controlnet", None)
    assert metrics["phases"]["finetune"]["steps"] == 2
    assert np.isfinite(metrics["phases"]["finetune"]["loss"])
    assert metrics["peak_rss_mib"] > 100
    assert {path.suffix for path in (tmp_path / "controlnet").iterdir()} == {
        ".safetensors", ".json",
    }  # fmt: skip
    # A new ControlNet is silent: only a trained one changes the image.
    options = {"scheduler": "own", "guidance_scale": 2.0}
    shown, muted = (
        images((tmp_path, train), requests(2), controlnet_conditioning_scale=scale, **options)
        for scale in (5.0, 1e-6)
    )
    assert [image.shape for image in shown] == [(48, 64, 3)] * 2
    assert all(not np.array_equal(a, b) for a, b in zip(shown, muted, strict=True))


@each_format
def test_a_trained_controlnet_shows_the_layout(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name], steps=12, learning_rate=3e-2), train, tmp_path)
    todo = requests(1)
    bare = [replace(todo[0], layout=Layout("bare", 64, 48, Annotations.empty()))]

    shown, hidden = (
        images((tmp_path, train), one, scheduler="own", controlnet_conditioning_scale=5.0)[0]
        for one in (todo, bare)
    )

    assert not np.array_equal(shown, hidden)


@each_format
def test_a_controlnet_is_shown_the_same_in_training_and_in_sampling(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name]), train, tmp_path)
    config = ControlNetConfig(
        kind="controlnet", scheduler="own", guidance_scale=1, num_inference_steps=1, device="cpu",
        mixed_precision="no",
    )  # fmt: skip
    generator = build_generator(config, model_dir=tmp_path, dataset=train)
    assert isinstance(generator, ControlNetGenerator)
    pipeline, family = generator._model.pipeline, generator._model.family
    seen: list[torch.Tensor] = []
    pipeline.controlnet.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["controlnet_cond"]), with_kwargs=True
    )
    channels = pipeline.vae.config.latent_channels
    if name == "flux":  # it draws from the posterior, which is narrow in a trained autoencoder only
        torch.nn.init.zeros_(pipeline.vae.encoder.conv_out.weight[channels:])
        torch.nn.init.constant_(pipeline.vae.encoder.conv_out.bias[channels:], -30)
    (todo,) = requests(1)

    list(generator.generate([todo]))

    picture = torch.from_numpy(control_picture(todo.layout, len(train.class_names)))[None]
    with torch.no_grad():
        batch = {
            "latents": torch.zeros(1, channels, 6, 8),
            "control": family.encode_pictures(pipeline, picture),
            **family.encode_prompts(pipeline, [todo.prompt]),
        }
        scheduler = load_scheduler(family, str(bases[name]), None)
        trainee = Trainee(getattr(pipeline, family.denoiser), pipeline.controlnet, scheduler)
        family.loss(trainee, batch, torch.Generator())
    sampled, trained = seen
    assert sampled.std() > 0.01
    # Pictures on pixels are kept in 256 steps.
    torch.testing.assert_close(sampled, trained, rtol=0, atol=0.51 / 255)


@each_format
def test_a_trained_controlnet_can_be_trained_further(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name]), train, tmp_path / "first")
    named = tuned(bases[name]) | {"controlnet": str(tmp_path / "first" / "controlnet")}

    fit_model(tiny_config(model=named), train, tmp_path / "second")

    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert first.keys() == second.keys()
    assert not same(first, second)


# Flux normalises in float32 what its products give in bfloat16, which torch calls slow.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@each_format
def test_bf16_and_gradient_checkpointing_change_the_weights_little(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    plain = fit_config(bases[name])
    lean = fit_config(bases[name], mixed_precision="no", gradient_checkpointing=True)
    bf16 = fit_config(bases[name], mixed_precision="bf16")

    losses = {}
    for title, config in {"plain": plain, "lean": lean, "bf16": bf16}.items():
        losses[title] = fit_model(config, train, tmp_path / title)["phases"]["finetune"]["loss"]

    expected, recomputed = weights(tmp_path / "plain"), weights(tmp_path / "lean")
    for key in expected:
        torch.testing.assert_close(expected[key], recomputed[key], rtol=1e-3, atol=1e-5)
    assert losses["bf16"] == pytest.approx(losses["plain"], rel=0.02)
    assert losses["bf16"] != losses["plain"]
    assert {tensor.dtype for tensor in weights(tmp_path / "bf16").values()} == {torch.float32}


def test_a_base_that_predicts_velocity_is_trained_on_it(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    velocity = save_base(lambda: sd_base("v_prediction"), tmp_path / "velocity")
    losses = [
        fit_model(fit_config(base), train, tmp_path / f"fit-{i}")["phases"]["finetune"]["loss"]
        for i, base in enumerate([bases["sd"], velocity])
    ]
    assert losses[0] != losses[1]

    sample = save_base(lambda: sd_base("sample"), tmp_path / "sample")
    with pytest.raises(ConfigError, match="this one predicts sample"):
        fit_model(fit_config(sample), train, tmp_path / "fit")


def test_a_flux_sampler_other_than_its_own_is_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    fit_model(fit_config(bases["flux"]), train, tmp_path)

    with pytest.raises(GenerationError, match="'ddim', which doesn't suit Flux.*to own"):
        images((tmp_path, train), requests(1), scheduler="ddim")


def test_sizes_that_a_base_does_not_take_are_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    crops = {"num_crops": 2, "size": [40, 32]}

    with pytest.raises(ConfigError, match="multiples of 16, the crops are 40x32"):
        fit_model(fit_config(bases["flux"], crops=crops), train, tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"controlnet": None, "training": None}, "new ControlNet does nothing"),
        ({"training": {"train_controlnet": False, "lora_rank": 4}}, "new ControlNet does nothing"),
        ({"training": {"train_controlnet": False}}, "nothing is trained"),
        ({"training": {}, "controlnet_revision": "abc"}, "controlnet_revision is set but"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(model={"kind": "pretrained", "model": "org/base"} | values)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_fp16_on_a_cpu_is_refused(bases: Bases, train: DetectionDataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'fp16' but the device is cpu"):
        fit_model(fit_config(bases["sd"], mixed_precision="fp16"), train, tmp_path)


def test_flux_tokens_are_those_of_the_pipeline() -> None:
    latents = torch.randn(2, 16, 4, 6)

    expected = FluxControlNetPipeline._pack_latents(latents, 2, 16, 4, 6)
    ids = FluxControlNetPipeline._prepare_latent_image_ids(2, 2, 3, "cpu", torch.float32)

    assert torch.equal(_pack(latents), expected)
    assert torch.equal(_positions(2, 3), ids)


def test_sdxl_is_told_the_size_as_by_the_pipeline(bases: Bases) -> None:
    pipeline = StableDiffusionXLControlNetPipeline.from_pretrained(bases["sdxl"], controlnet=None)
    batch = {"control": torch.zeros(2, 3, 32, 48), "pooled_embeds": torch.zeros(2, 16)}

    conditions = StableDiffusionXL().added_conditions(batch)

    expected = pipeline._get_add_time_ids((32, 48), (0, 0), (32, 48), torch.float32, 16)
    assert torch.equal(conditions["time_ids"], expected.repeat(2, 1))


def test_adapters_without_peft_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it weren't installed

    with pytest.raises(ConfigError, match="lora_rank is 2, which needs peft"):
        add_adapters(StableDiffusion(), torch.nn.Identity(), 2)


@pytest.mark.usefixtures("no_sockets")
@each_format
def test_adapters_are_trained_saved_and_used(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    config = fit_config(bases[name], lora_rank=2, learning_rate=3e-2)

    fit_model(config, train, tmp_path / "both")

    card = read_card(tmp_path / "both")
    assert (card.trained_controlnet, card.lora) == ("controlnet", "lora")
    adapters = load_file(tmp_path / "both" / "lora" / "pytorch_lora_weights.safetensors")
    assert all("lora" in key for key in adapters)
    assert all(tensor.abs().sum() > 0 for tensor in adapters.values()), "B starts from zero"
    made = images((tmp_path / "both", train), requests(1), scheduler="own")[0]
    (tmp_path / "both" / "lora").rename(tmp_path / "lora")
    card_path = tmp_path / "both" / "generator.json"
    card_path.write_text(card_path.read_text().replace('"lora": "lora"', '"lora": null'))
    bare = images((tmp_path / "both", train), requests(1), scheduler="own")[0]
    assert not np.array_equal(made, bare)

    # Adapters alone, beside a ControlNet that is used as it is.
    alone = tuned(bases[name], train_controlnet=False, lora_rank=2)
    alone["controlnet"] = str(tmp_path / "both" / "controlnet")
    fit_model(tiny_config(model=alone), train, tmp_path / "alone")
    assert read_card(tmp_path / "alone").trained_controlnet is None
    assert not (tmp_path / "alone" / "controlnet").exists()
    assert images((tmp_path / "alone", train), requests(1), scheduler="own")[0].std() > 1
