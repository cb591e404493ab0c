"""Tiny random-weight base pipelines, saved in each format that a pretrained base comes in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from builders import CLASS_NAMES
from synthdata.config.fit import FitConfig
from synthdata.training.text import build_tokenizer
from training.tiny import tiny_config

Bases = dict[str, Path]

pytestmark = [
    # diffusers hands numpy a tensor whose `__array__` is older than numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers"),
    # Under autocast to bfloat16 Flux's norms keep float32 weights; torch tells that it is slower.
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),
]

WIDTH = 16


def clip(model: Callable[[CLIPTextConfig], Any], tokenizer: Any) -> Any:
    return model(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH,
            num_hidden_layers=2, num_attention_heads=2, projection_dim=WIDTH,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def autoencoder(latent_channels: int, **options: Any) -> Any:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        latent_channels=latent_channels,
        norm_num_groups=4,
        **options,
    )


def unet(cross_attention_dim: int, **options: Any) -> Any:
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16),
        layers_per_block=1, cross_attention_dim=cross_attention_dim, attention_head_dim=4,
        norm_num_groups=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **options,
    )  # fmt: skip


def sd_base(prediction_type: str = "epsilon") -> Any:
    tokenizer = build_tokenizer("a photo with {objects}", CLASS_NAMES)
    return StableDiffusionPipeline(
        vae=autoencoder(4),
        text_encoder=clip(CLIPTextModel, tokenizer),
        tokenizer=tokenizer,
        unet=unet(WIDTH),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False, prediction_type=prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl_base() -> Any:
    tokenizer = build_tokenizer("a photo with {objects}", CLASS_NAMES)
    return StableDiffusionXLPipeline(
        vae=autoencoder(4),
        text_encoder=clip(CLIPTextModel, tokenizer),
        text_encoder_2=clip(CLIPTextModelWithProjection, tokenizer),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet(
            2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            transformer_layers_per_block=(1, 2),
        ),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
    )


def flux_base() -> Any:
    tokenizer = build_tokenizer("a photo with {objects}", CLASS_NAMES)
    pieces = ["<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz0123456789,"]
    t5 = T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0)
    t5_config = T5Config(
        vocab_size=len(pieces), d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoder(
            16, shift_factor=0.1, scaling_factor=0.4,
            use_quant_conv=False, use_post_quant_conv=False,
        ),
        text_encoder=clip(CLIPTextModel, tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(t5_config),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            in_channels=64, num_layers=2, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
            guidance_embeds=True, axes_dims_rope=(4, 4, 8),
        ),
    )  # fmt: skip


BASES: dict[str, Callable[[], Any]] = {"sd": sd_base, "sdxl": sdxl_base, "flux": flux_base}


def save_base(build: Callable[[], Any], folder: Path, *, safe: bool = True) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        build().save_pretrained(folder, safe_serialization=safe)
    return folder


def tuned(base: Path, **training: Any) -> dict[str, Any]:
    """Return `fit.model` for a new ControlNet on the base."""
    crops = {"num_crops": 5, "size": [48, 32]}
    return {
        "kind": "pretrained",
        "model": str(base),
        "training": {
            "crops": crops, "steps": 2, "batch_size": 2, "learning_rate": 1e-3,
            "mixed_precision": "no",
        } | training,
    }  # fmt: skip


each_format = pytest.mark.parametrize("name", list(BASES))


def fit_config(base: Path, **training: Any) -> FitConfig:
    return tiny_config(model=tuned(base, **training))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = sorted(folder.rglob("*.safetensors"))
    assert found, folder
    return {f"{path.parent.name}/{k}": v for path in found for k, v in load_file(path).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
