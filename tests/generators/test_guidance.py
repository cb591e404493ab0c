"""Guidance that ends before the last step or is rescaled, in each kind of pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from generators.test_controlnet import Fitted, images, requests
from generators.test_repaint import paint, parse
from synthdata.config.generate import ControlNetConfig
from synthdata.errors import GenerationError
from synthdata.generators.guidance import GuidanceCutoff, rescale_guidance
from synthdata.generators.model import load_model
from synthdata.training.fit import fit_model
from training.tiny import tiny_config, train_split
from training.tiny_bases import BASES, save_base, tuned

pytestmark = [
    # diffusers hands numpy a tensor whose `__array__` is older than numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers"),
    # Under autocast to bfloat16 Flux's norms keep float32 weights; torch tells that it is slower.
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),
]


def fit_base(name: str, folder: Path) -> Fitted:
    train = train_split(folder / "train")
    base = save_base(BASES[name], folder / "base")
    fit_model(tiny_config(model=tuned(base, steps=1)), train, folder / "fit")
    return folder / "fit", train


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_guidance_can_end_before_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fitted, todo = fit_base(name, tmp_path), requests(3)
    options = {"guidance_scale": 4.0, "num_inference_steps": 4, "mixed_precision": "no"}

    throughout = images(fitted, todo, **options)
    half = images(fitted, todo, guidance_end=0.5, **options)

    assert not np.array_equal(throughout[0], half[0])
    monkeypatch.setattr(GuidanceCutoff, "callback_fn", both_branches_alike)
    for a, b in zip(half, images(fitted, todo, guidance_end=0.5, **options), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def both_branches_alike(
    _: object, __: object, step_index: int, ___: object, tensors: dict[str, Any]
) -> dict[str, Any]:
    """Whatever the guidance scale, two branches that agree give what one gives."""
    if step_index == 1:
        return {
            name: both.chunk(2)[1].repeat(2, *[1] * (both.ndim - 1))
            for name, both in tensors.items()
        }
    return tensors


def test_flux_has_no_guidance_to_end(tmp_path: Path) -> None:
    fitted = fit_base("flux", tmp_path)

    with pytest.raises(GenerationError, match="FluxControlNetPipeline is told its guidance"):
        images(fitted, requests(1), scheduler="own", guidance_end=0.5)


def test_guidance_that_ends_with_the_last_step_changes_nothing(fitted: Fitted) -> None:
    """Of four steps .9 is four."""
    todo = requests(2)

    throughout, ended = images(fitted, todo), images(fitted, todo, guidance_end=0.9)

    assert all(a.tobytes() == b.tobytes() for a, b in zip(throughout, ended, strict=True))


def test_img2img_can_end_its_guidance_and_inpainting_says_that_it_can_not(fitted: Fitted) -> None:
    values = {"kind": "img2img", "strength": 1.0, "guidance_scale": 4.0, "num_inference_steps": 4}
    todo = requests(1)

    throughout, ended = (paint(fitted, todo, values | {"guidance_end": end}) for end in (1, 0.5))

    assert not np.array_equal(throughout[0].image, ended[0].image)
    with pytest.raises(ValidationError, match="guidance_end must be 1 for inpaint, got 0.5"):
        parse({"kind": "inpaint", "guidance_end": 0.5})


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
