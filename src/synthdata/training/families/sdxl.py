"""Stable Diffusion XL: two text encoders, and a UNet that is told the image's size."""

from collections.abc import Mapping
from typing import Any

import diffusers
import torch

from synthdata.training.families.base import Tensors
from synthdata.training.families.sd import StableDiffusion


class StableDiffusionXL(StableDiffusion):
    """See `Family`."""

    title: str = "Stable Diffusion XL"
    pipeline: Any = diffusers.StableDiffusionXLControlNetPipeline
    # Or images would depend on whether the watermark's package is installed.
    options: Mapping[str, Any] = {"add_watermarker": False}
    half_batch: int = 1

    def encode_prompts(self, pipeline: Any, prompts: list[str]) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Return `embeds` `(N, L, D)` and `pooled_embeds` `(N, E)`; zeros stand for no prompt.

        That is how the pipeline guides where the base asks for it.
        """
        embeds, _, pooled, _ = pipeline.encode_prompt(
            prompts, device=pipeline.device, do_classifier_free_guidance=False
        )
        if pipeline.config.force_zeros_for_empty_prompt:
            empty = [i for i, prompt in enumerate(prompts) if not prompt]
            embeds[empty], pooled[empty] = 0, 0
        return {"embeds": embeds, "pooled_embeds": pooled}

    def added_conditions(self, batch: Tensors) -> dict[str, torch.Tensor] | None:
        """Return the pooled prompt and an uncropped image of the picture's size."""
        height, width = batch["control"].shape[-2:]
        pooled = batch["pooled_embeds"]
        time_ids = pooled.new_tensor([[height, width, 0, 0, height, width]])
        return {"text_embeds": pooled, "time_ids": time_ids.expand(len(pooled), -1)}
