"""Stable Diffusion 1 and 2: one text encoder, a UNet that predicts noise or velocity."""

from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it

from synthdata.errors import ConfigError
from synthdata.training.families.base import Tensors, Trainee, normal_like


class StableDiffusion:
    """See `Family`."""

    title: str = "Stable Diffusion"
    pipeline: Any = diffusers.StableDiffusionControlNetPipeline
    denoiser: str = "unet"
    denoiser_class: Any = diffusers.UNet2DConditionModel
    controlnet_class: Any = diffusers.ControlNetModel
    scheduler_class: Any = diffusers.DDPMScheduler
    size_multiple: int = 8
    any_sampler: bool = True
    lora_targets: Sequence[str] = ("to_q", "to_k", "to_v", "to_out.0")
    # The checker would blacken images, often of tissue, that it takes for something else.
    options: Mapping[str, Any] = {"safety_checker": None, "requires_safety_checker": False}
    half_batch: int = 4

    def new_controlnet(self, denoiser: Any) -> Any:  # noqa: ANN401
        """Return a ControlNet with the UNet's encoder."""
        return diffusers.ControlNetModel.from_unet(denoiser)

    def check_controlnet(self, controlnet: Any) -> None:  # noqa: ANN401
        """Check that it takes three channels and says where it saw what."""
        channels = controlnet.config.conditioning_channels
        if channels != 3:
            raise ConfigError(
                f"a ControlNet that takes an RGB picture was expected, this one takes {channels} "
                "channels; name another or set fit.model.controlnet to null"
            )
        if controlnet.config.global_pool_conditions:
            raise ConfigError(
                "a ControlNet that places objects was expected, this one pools what it sees over "
                "the whole picture; name another or set fit.model.controlnet to null"
            )

    def control_argument(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the pictures as they are."""
        return {"image": pictures}

    def encode_pictures(self, pipeline: Any, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN401, ARG002
        """Return the pictures as uint8, which takes a quarter of the memory."""
        return (pictures * 255).round().byte()

    def encode_prompts(self, pipeline: Any, prompts: list[str]) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Return `embeds` `(N, L, D)`."""
        embeds, _ = pipeline.encode_prompt(
            prompts, pipeline.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"embeds": embeds}

    def added_conditions(self, batch: Tensors) -> dict[str, torch.Tensor] | None:  # noqa: ARG002
        """Return what the UNet is told beside the prompt."""
        return None

    def loss(self, trainee: Trainee, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the mean squared error of the predicted noise or velocity."""
        latents, scheduler = batch["latents"], trainee.scheduler
        noise = normal_like(latents, generator)
        last = scheduler.config.num_train_timesteps
        timesteps = torch.randint(last, latents.shape[:1], generator=generator).to(latents.device)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        target = _target(scheduler, latents, noise, timesteps)
        conditions = {
            "encoder_hidden_states": batch["embeds"],
            "added_cond_kwargs": self.added_conditions(batch),
            "return_dict": False,
        }
        noisy = noisy.to(trainee.denoiser.dtype)
        down, mid = trainee.controlnet(
            noisy, timesteps, controlnet_cond=batch["control"].float() / 255, **conditions
        )
        prediction = trainee.denoiser(
            noisy,
            timesteps,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            **conditions,
        )[0]
        return F.mse_loss(prediction.float(), target)


def _target(
    scheduler: Any,  # noqa: ANN401
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
) -> torch.Tensor:
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(latents, noise, timesteps)  # type: ignore[no-any-return]
    raise ConfigError(
        f"a base that predicts epsilon or v_prediction can be trained, this one predicts {kind}; "
        "set fit.model.training to null to use it as it is"
    )
