"""Flux: a transformer on packed latents, trained by flow matching, with CLIP and T5 prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from diffusers.pipelines.flux.pipeline_flux_controlnet import calculate_shift

from synthdata.errors import ConfigError
from synthdata.training.families.base import Tensors, Trainee, encode_images, normal_like

# Blocks of a new ControlNet: a copy of the base's first ones.
_DOUBLE_BLOCKS, _SINGLE_BLOCKS = 4, 4
# What a guidance-distilled base is told in training; the middle of what it is used with.
_GUIDANCE = 3.5


class Flux:
    """See `Family`."""

    title: str = "Flux"
    pipeline: Any = diffusers.FluxControlNetPipeline
    denoiser: str = "transformer"
    denoiser_class: Any = diffusers.FluxTransformer2DModel
    controlnet_class: Any = diffusers.FluxControlNetModel
    scheduler_class: Any = diffusers.FlowMatchEulerDiscreteScheduler
    # Latents are an eighth of the image and are packed two by two.
    size_multiple: int = 16
    any_sampler: bool = False
    lora_targets: Sequence[str] = (
        "to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out",
    )  # fmt: skip
    options: Mapping[str, Any] = {}
    half_batch: int = 1

    def new_controlnet(self, denoiser: Any) -> Any:  # noqa: ANN401
        """Return a ControlNet with the transformer's first blocks."""
        config = denoiser.config
        return diffusers.FluxControlNetModel.from_transformer(
            denoiser,
            num_layers=min(_DOUBLE_BLOCKS, config.num_layers),
            num_single_layers=min(_SINGLE_BLOCKS, config.num_single_layers),
            attention_head_dim=config.attention_head_dim,
            num_attention_heads=config.num_attention_heads,
        )

    def check_controlnet(self, controlnet: Any) -> None:  # noqa: ANN401
        """Check that it takes the picture's latents, and no mode."""
        if controlnet.union or controlnet.input_hint_block is not None:
            kind = "a union of modes" if controlnet.union else "one on pixels"
            raise ConfigError(
                "a Flux ControlNet for the latents of one kind of picture was expected, this is "
                f"{kind}; name another or set fit.model.controlnet to null"
            )

    def control_argument(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the pictures in [-1, 1]: the pipeline gives tensors to the autoencoder as is."""
        return {"control_image": pictures * 2 - 1}

    def encode_pictures(self, pipeline: Any, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        """Return the pictures' latents."""
        return encode_images(pipeline, pictures * 2 - 1)

    def encode_prompts(self, pipeline: Any, prompts: list[str]) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Return `embeds` `(N, L, D)` of T5 and `pooled_embeds` `(N, E)` of CLIP."""
        embeds, pooled, _ = pipeline.encode_prompt(prompts, device=pipeline.device)
        return {"embeds": embeds, "pooled_embeds": pooled}

    def loss(self, trainee: Trainee, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the mean squared error of the predicted velocity, noise minus image.

        Times are logit-normal (Esser et al., "Scaling Rectified Flow Transformers"), shifted to
        the image's size as in sampling.
        """
        latents = batch["latents"]
        noise = normal_like(latents, generator)
        times = torch.randn(latents.shape[:1], generator=generator).sigmoid().to(latents.device)
        height, width = latents.shape[-2] // 2, latents.shape[-1] // 2
        sigmas = _shift(trainee.scheduler, times, height * width)
        mix = sigmas[:, None, None, None]
        inputs = {
            "hidden_states": _pack((1 - mix) * latents + mix * noise).to(trainee.denoiser.dtype),
            "timestep": sigmas,
            "encoder_hidden_states": batch["embeds"],
            "pooled_projections": batch["pooled_embeds"],
            "txt_ids": latents.new_zeros(batch["embeds"].shape[1], 3),
            "img_ids": _positions(height, width).to(latents.device),
            "return_dict": False,
        }
        blocks, single_blocks = trainee.controlnet(
            controlnet_cond=_pack(batch["control"]).to(trainee.controlnet.dtype),
            guidance=_guidance(trainee.controlnet, latents),
            **inputs,
        )
        prediction = trainee.denoiser(
            guidance=_guidance(trainee.denoiser, latents),
            controlnet_block_samples=blocks,
            controlnet_single_block_samples=single_blocks,
            **inputs,
        )[0]
        return F.mse_loss(prediction.float(), _pack(noise - latents))


def _pack(latents: torch.Tensor) -> torch.Tensor:
    """Return `(B, C, H, W)` as `(B, H/2 * W/2, 4C)`: each token a patch of 2 by 2."""
    return F.pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def _positions(height: int, width: int) -> torch.Tensor:
    """Return `(height * width, 3)`: zero, row and column of each token."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).reshape(-1, 3).float()


def _guidance(model: Any, latents: torch.Tensor) -> torch.Tensor | None:  # noqa: ANN401
    if not model.config.guidance_embeds:
        return None
    return latents.new_full((len(latents),), _GUIDANCE)


def _shift(scheduler: Any, times: torch.Tensor, num_tokens: int) -> torch.Tensor:  # noqa: ANN401
    """Return the times as the sampler spaces them for an image of so many tokens."""
    config = scheduler.config
    if not config.use_dynamic_shifting:
        return config.shift * times / (1 + (config.shift - 1) * times)  # type: ignore[no-any-return]
    mu = calculate_shift(
        num_tokens,
        config.base_image_seq_len,
        config.max_image_seq_len,
        config.base_shift,
        config.max_shift,
    )
    return scheduler.time_shift(mu, 1.0, times)  # type: ignore[no-any-return]
