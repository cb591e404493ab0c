"""Guidance that is limited to some of the steps or rescaled, in each kind of pipeline."""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler
from pydantic import ValidationError

from generators.test_controlnet import Fitted, images, requests
from generators.test_repaint import paint, parse
from synthdata.config.generator import ControlNetConfig
from synthdata.errors import GenerationError
from synthdata.generators import build_generator, controlnet
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.generators.guidance import limit_guidance, rescale_guidance
from synthdata.generators.model import load_model
from synthdata.training.fit import fit_model
from training.tiny import tiny_config, train_split
from training.tiny_bases import BASES, pytestmark, save_base, tuned

__all__ = ["pytestmark"]


def fit_base(name: str, folder: Path) -> Fitted:
    train = train_split(folder / "train")
    base = save_base(BASES[name], folder / "base")
    fit_model(tiny_config(model=tuned(base, steps=1)), train, folder / "fit")
    return folder / "fit", train


# Not those with the first step, which alone decides on the images of a model of random weights.
@pytest.mark.parametrize("interval", [(0.25, 0.75), (0.5, 1.0)])
@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_guidance_can_be_limited_to_an_interval_of_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, interval: tuple[float, float]
) -> None:
    fitted, todo = fit_base(name, tmp_path), requests(3)
    options = {"guidance_scale": 4.0, "num_inference_steps": 4, "mixed_precision": "no"}
    options |= dict(zip(["guidance_start", "guidance_end"], interval, strict=True))

    limited = images(fitted, todo, **options)

    monkeypatch.setattr(controlnet, "limit_guidance", alike_outside)
    wanted = images(fitted, todo, **options)
    monkeypatch.setattr(controlnet, "limit_guidance", lambda *_: None)
    throughout = images(fitted, todo, **options)
    for one, other, third in zip(limited, wanted, throughout, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
        assert np.abs(one.astype(int) - third.astype(int)).max() > 1


def alike_outside(start: float, end: float, pipeline: Any) -> None:
    """Compute both branches in all four steps, then have them agree outside the interval."""
    predict, steps = pipeline.unet.forward, count()

    def predict_both(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        (both,) = predict(*args, **kwargs)
        guided = start <= next(steps) % 4 / 4 < end
        return (both if guided else both.chunk(2)[1].repeat(2, 1, 1, 1),)

    pipeline.unet.forward = predict_both


def test_an_unguided_step_computes_one_branch(fitted: Fitted) -> None:
    config = parse(
        {"kind": "controlnet", "mixed_precision": "no", "guidance_start": 0.25}
        | {"guidance_scale": 4.0, "guidance_end": 0.5}
    )
    generator = ControlNetGenerator(config, fitted[0], class_names=fitted[1].class_names)
    sizes = batch_sizes(generator._model.pipeline)

    list(generator.generate(requests(3)))

    assert sizes == [3, 3, 6, 6, 3, 3, 3, 3]


def batch_sizes(pipeline: Any) -> list[int]:
    """Note the images that ControlNet and UNet are given from now on."""
    sizes: list[int] = []
    for part in (pipeline.controlnet, pipeline.unet):
        part.conv_in.register_forward_hook(lambda *call: sizes.append(len(call[2])))
    return sizes


def test_flux_has_no_guidance_to_limit(tmp_path: Path) -> None:
    fitted = fit_base("flux", tmp_path)

    with pytest.raises(GenerationError, match="FluxControlNetPipeline is told its guidance"):
        images(fitted, requests(1), scheduler="own", guidance_end=0.5)


@pytest.mark.parametrize("interval", [(0.0, 0.9), (0.1, 1.0)])
def test_an_interval_of_all_steps_changes_nothing(
    fitted: Fitted, interval: tuple[float, float]
) -> None:
    """Of four steps .9 is four, .1 none."""
    todo = requests(2)

    throughout = images(fitted, todo)
    limited = images(fitted, todo, guidance_start=interval[0], guidance_end=interval[1])

    assert all(a.tobytes() == b.tobytes() for a, b in zip(throughout, limited, strict=True))


def test_an_interval_without_steps_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"below guidance_end, got 0.5 and 0.5"):
        parse({"kind": "controlnet", "guidance_start": 0.5, "guidance_end": 0.5})


@pytest.mark.parametrize("kind", ["img2img", "inpaint"])
def test_repainting_counts_the_steps_that_it_runs(fitted: Fitted, kind: str) -> None:
    """Four of eight, of which the second one is guided."""
    config = parse(
        {"kind": kind, "strength": 0.5, "num_inference_steps": 8, "mixed_precision": "no"}
        | {"guidance_scale": 4.0, "guidance_start": 0.25, "guidance_end": 0.5}
    )
    generator = build_generator(config, model_dir=fitted[0], dataset=fitted[1])
    sizes = batch_sizes(generator._repainter._model.pipeline)

    list(generator.generate(requests(3)))

    assert sizes == [3, 3, 6, 6, 3, 3, 3, 3]


def test_a_timestep_that_comes_twice_is_guided_twice(tmp_path: Path) -> None:
    """As PNDM, the sampler of many a Stable Diffusion, has its second one."""
    fitted = fit_base("sd", tmp_path)
    config = parse({"kind": "controlnet", "scheduler": "own", "mixed_precision": "no"})
    pipeline = load_model(config, fitted[0], class_names=fitted[1].class_names).pipeline
    pipeline.scheduler = PNDMScheduler(skip_prk_steps=True)
    limit_guidance(0.3, 0.5, pipeline)
    sizes = batch_sizes(pipeline)

    pipeline(
        "a photo", torch.zeros(1, 3, 48, 64), num_inference_steps=4, guidance_scale=4.0,
        output_type="latent",
    )  # fmt: skip

    assert pipeline.scheduler.timesteps[1] == pipeline.scheduler.timesteps[2]
    assert sizes == [1, 1, 2, 2, 2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_rescaled_guidance_keeps_the_conditional_deviation(tmp_path: Path, name: str) -> None:
    """Checked against the two branches, by hand."""
    fitted = fit_base(name, tmp_path)
    config = ControlNetConfig.model_validate(
        {"kind": "controlnet", "device": "cpu", "mixed_precision": "no", "guidance_scale": 5.0}
    )
    pipeline = load_model(config, fitted[0], class_names=fitted[1].class_names).pipeline
    both = torch.randn(4, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    pipeline.unet.forward = lambda *_, **__: (both,)
    pipeline._guidance_scale = 5.0

    rescale_guidance(1.0, pipeline)
    first, second = pipeline.unet(None)[0].chunk(2)

    assert torch.equal(first, second), "the pipeline's own guidance changes nothing"
    unconditional, conditional = both.chunk(2)
    guided = unconditional + 5 * (conditional - unconditional)
    wanted = guided * (conditional.std((1, 2, 3)) / guided.std((1, 2, 3)))[:, None, None, None]
    torch.testing.assert_close(first, wanted)


def test_rescaling_changes_guided_steps_only(fitted: Fitted) -> None:
    todo = requests(1)
    plain, rescaled, unguided, unguided_rescaled = (
        images(fitted, todo, guidance_scale=scale, guidance_rescale=strength)[0]
        for scale in (6.0, 1.0)
        for strength in (0.0, 1.0)
    )
    assert not np.array_equal(plain, rescaled)
    assert np.array_equal(unguided, unguided_rescaled)
    values = {"kind": "img2img", "strength": 1.0, "guidance_scale": 6.0}
    a, b = (paint(fitted, todo, values | {"guidance_rescale": s})[0].image for s in (0.0, 1.0))
    assert not np.array_equal(a, b)


def test_flux_has_no_guidance_to_rescale(tmp_path: Path) -> None:
    fitted = fit_base("flux", tmp_path)

    with pytest.raises(GenerationError, match="has no second branch; set it to 0"):
        images(fitted, requests(1), scheduler="own", guidance_rescale=0.5)
