from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    FluxControlNetPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from synthdata.config.fit import AutoencoderConfig, DenoiserConfig
from synthdata.errors import GenerationError
from synthdata.generators.repaint import _to_cells
from synthdata.generators.tasks import pipeline_for
from synthdata.training.autoencoder import build_autoencoder
from synthdata.training.denoiser import build_denoiser
from synthdata.training.families.flux import Flux
from synthdata.training.pretrained import quiet_diffusers
from synthdata.training.text import build_text_encoder, build_tokenizer
from training.tiny_bases import flux_base


def plain_pipeline(*, latent_channels: int = 4) -> Any:
    """A pipeline as a pretrained base and a ControlNet make it, untrained."""
    tokenizer = build_tokenizer("a photo with {objects}", ("cat",))
    denoiser = build_denoiser(
        DenoiserConfig(block_out_channels=(16, 24), cross_attention_dim=16),
        build_text_encoder(tokenizer, 16),
        latent_channels=latent_channels,
        control_channels=3,
        sample_size=(12, 16),
    )
    return StableDiffusionControlNetPipeline(
        vae=build_autoencoder(AutoencoderConfig(channels=8, latent_channels=latent_channels)),
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        controlnet=denoiser.controlnet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def xl_pipeline() -> Any:
    """The same of the XL family: two text encoders, the second one pooled."""
    tokenizer = build_tokenizer("a photo with {objects}", ("cat",))
    first = build_text_encoder(tokenizer, 16)
    unet = UNet2DConditionModel(
        sample_size=(12, 16),
        block_out_channels=(16, 24),
        layers_per_block=1,
        cross_attention_dim=32,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8,
    )
    return StableDiffusionXLControlNetPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16,) * 3,
            norm_num_groups=8,
        ),
        text_encoder=first,
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**first.config.to_dict())),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        controlnet=ControlNetModel.from_unet(
            unet, conditioning_channels=3, conditioning_embedding_out_channels=(8, 16, 16)
        ),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )


def flux_pipeline() -> Any:
    base = flux_base()
    with quiet_diffusers():
        controlnet = Flux().new_controlnet(base.transformer)
    return FluxControlNetPipeline(**base.components, controlnet=controlnet)


ARGUMENTS = {
    "prompt", "image", "control_image", "width", "height", "strength", "num_inference_steps",
    "guidance_scale", "controlnet_conditioning_scale", "generator", "output_type",
}  # fmt: skip


def run(pipeline: Any, **more: torch.Tensor) -> torch.Tensor:
    """Paint two grey images."""
    values: dict[str, Any] = {
        "prompt": ["a cat", "no cat"],
        "image": torch.full((2, 3, 48, 64), 0.5),
        "control_image": torch.zeros(2, 3, 48, 64),
        "width": 64,
        "height": 48,
        "strength": 0.5,
        "num_inference_steps": 4,
        "guidance_scale": 2.0,
        "controlnet_conditioning_scale": 1.0,
        "generator": [torch.Generator().manual_seed(i) for i in range(2)],
        "output_type": "pt",
    }
    assert values.keys() == ARGUMENTS
    images: torch.Tensor = pipeline(**values, **more).images
    return images


@pytest.mark.parametrize(
    ("build", "prefix"),
    [
        pytest.param(plain_pipeline, "StableDiffusionControlNet", id="sd"),
        pytest.param(xl_pipeline, "StableDiffusionXLControlNet", id="xl"),
        pytest.param(flux_pipeline, "FluxControlNet", id="flux"),
    ],
)
def test_a_pretrained_pipeline_gets_diffusers_own_relatives(build: Any, prefix: str) -> None:
    base = build()

    img2img, inpaint = (pipeline_for(task, base, embedded=False) for task in ("img2img", "inpaint"))

    assert type(img2img) is getattr(diffusers, f"{prefix}Img2ImgPipeline")
    assert type(inpaint) is getattr(diffusers, f"{prefix}InpaintPipeline")
    for converted in (img2img, inpaint):
        shared = {name: part for name, part in base.components.items() if part is not None}
        assert all(converted.components[name] is part for name, part in shared.items())
    assert run(img2img).shape == (2, 3, 48, 64)
    assert run(inpaint, mask_image=torch.ones(2, 1, 48, 64)).shape == (2, 3, 48, 64)


def test_a_model_that_cannot_be_masked_or_converted_is_an_error() -> None:
    with pytest.raises(GenerationError, match=r"4 or 9 input channels, the model has 6; set fit"):
        pipeline_for("inpaint", plain_pipeline(latent_channels=6), embedded=True)

    class Unknown:
        config: dict[str, Any] = {}  # noqa: RUF012

    with pytest.raises(GenerationError, match="diffusers has no img2img pipeline for Unknown"):
        pipeline_for("img2img", Unknown(), embedded=False)


def test_a_latent_is_repainted_if_any_of_its_pixels_is() -> None:
    touched = torch.zeros(1, 1, 8, 12)
    touched[0, 0, 3, 5] = 0.01

    cells = _to_cells(touched, 4)

    expected = torch.zeros(1, 1, 8, 12)
    expected[0, 0, :4, 4:8] = 1
    assert torch.equal(cells, expected)
