"""The denoiser: a small UNet, its ControlNet and text encoder, trained together from scratch.

v-prediction with zero terminal signal (Lin et al., "Common Diffusion Noise Schedules and
Sample Steps are Flawed"): without it the mean colour of the images comes out wrong.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import nn

from synthdata.config.fit import DenoiserConfig
from synthdata.training.hardware import Hardware

# Control values of the unconditional branch; those of a layout lie in [0, 1].
NO_CONTROL = -1.0


@dataclass(frozen=True)
class DenoiserData:
    """What the denoiser is trained on.

    Attributes:
        latents: `(N, C, H/4, W/4)` float32, white.
        controls: `(N, K, H, W)` uint8, 255 standing for 1.
        prompt_ids: `(N, L)` token ids.
        no_prompt_ids: `(L,)` token ids of the empty prompt.
        weights: `(N, H/4, W/4)` float32 of mean 1: how much an error counts there.
    """

    latents: torch.Tensor
    controls: torch.Tensor
    prompt_ids: torch.Tensor
    no_prompt_ids: torch.Tensor
    weights: torch.Tensor


class Denoiser(nn.Module):
    """The three models that are trained together.

    Attributes:
        unet: `UNet2DConditionModel`.
        controlnet: `ControlNetModel`.
        text_encoder: `CLIPTextModel`.
    """

    def __init__(self, unet: nn.Module, controlnet: nn.Module, text_encoder: nn.Module) -> None:
        super().__init__()
        self.unet = unet
        self.controlnet = controlnet
        self.text_encoder = text_encoder

    def forward(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, ids: torch.Tensor, control: torch.Tensor
    ) -> torch.Tensor:
        """Return the predicted velocity, as the pipeline computes it."""
        text = self.text_encoder(ids)[0]
        down, mid = self.controlnet(noisy, timesteps, text, control, return_dict=False)
        prediction: torch.Tensor = self.unet(
            noisy,
            timesteps,
            text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]
        return prediction


def build_scheduler() -> Any:  # noqa: ANN401
    """Return the noise schedule of training and sampling."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def build_denoiser(
    config: DenoiserConfig,
    text_encoder: nn.Module,
    *,
    latent_channels: int,
    control_channels: int,
    sample_size: tuple[int, int],
) -> Denoiser:
    """Return untrained models.

    Only the lowest level attends to the text: attention costs most where pixels are many.

    Args:
        config: Widths.
        text_encoder: For the prompts.
        latent_channels: Of the autoencoder.
        control_channels: Of the control image.
        sample_size: (height, width) of the latents of the images to be made.
    """
    widths = config.block_out_channels
    levels = len(widths)
    unet = UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=widths,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.cross_attention_dim,
        attention_head_dim=8,
        norm_num_groups=8,
        down_block_types=("DownBlock2D",) * (levels - 1) + ("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
    )
    controlnet = ControlNetModel.from_unet(
        unet,
        conditioning_channels=control_channels,
        conditioning_embedding_out_channels=(8, 16, 32),
    )
    _wake_zero_convolutions(controlnet)
    return Denoiser(unet, controlnet, text_encoder)


def _wake_zero_convolutions(controlnet: Any) -> None:  # noqa: ANN401
    """Give the ControlNet's zero convolutions half of Kaiming's scale.

    Zeros protect a trained UNet; beside one that starts from nothing they only delay the
    layout's influence until the UNet has learnt to do without.
    """
    zero_convolutions = [
        *controlnet.controlnet_down_blocks,
        controlnet.controlnet_mid_block,
        controlnet.controlnet_cond_embedding.conv_out,
    ]
    for convolution in zero_convolutions:
        nn.init.kaiming_uniform_(convolution.weight, a=math.sqrt(5))
        with torch.no_grad():
            convolution.weight.mul_(0.5)


def denoising_loss(
    denoiser: Denoiser,
    data: DenoiserData,
    config: DenoiserConfig,
    *,
    scheduler: Any,  # noqa: ANN401
    hardware: Hardware,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the weighted mean squared error of the predicted velocity for a random batch.

    Args:
        denoiser: The models.
        data: Latents with their conditions.
        config: Batch size and condition dropout.
        scheduler: The noise schedule.
        hardware: Where to compute.
        generator: The step's randomness.
    """
    size = (config.batch_size,)
    picks = torch.randint(len(data.latents), size, generator=generator)
    # Spread evenly over the schedule, one a stratum: a batch's loss varies less (Kingma et al.,
    # "Variational Diffusion Models", appendix I).
    strata = torch.arange(config.batch_size) + torch.rand(size, generator=generator)
    num_timesteps = scheduler.config.num_train_timesteps
    timesteps = (strata / config.batch_size * num_timesteps).long().clamp_max(num_timesteps - 1)
    dropped = torch.rand(size, generator=generator) < config.condition_dropout
    latents = data.latents[picks]
    noise = torch.randn(latents.shape, generator=generator)
    ids = torch.where(dropped[:, None], data.no_prompt_ids, data.prompt_ids[picks])
    control = data.controls[picks].float() / 255
    control[dropped] = NO_CONTROL
    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = scheduler.get_velocity(latents, noise, timesteps)
    inputs = [x.to(hardware.device) for x in (noisy, timesteps, ids, control)]
    with hardware.autocast():
        prediction = denoiser(*inputs)
    error = F.mse_loss(prediction.float(), target.to(hardware.device), reduction="none")
    weight = data.weights[picks, None]
    if config.min_snr_gamma is not None:
        weight = weight * _min_snr_weight(scheduler, timesteps, config.min_snr_gamma)
    return (error * weight.to(hardware.device)).mean()


def _min_snr_weight(
    scheduler: Any,  # noqa: ANN401
    timesteps: torch.Tensor,
    gamma: float,
) -> torch.Tensor:
    """Return `(B, 1, 1, 1)` weights that keep easy, nearly clean samples from dominating.

    Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023, for
    v-prediction: min(SNR, gamma) / (SNR + 1).
    """
    alpha: torch.Tensor = scheduler.alphas_cumprod[timesteps]
    snr = alpha / (1 - alpha)
    return (snr.clamp_max(gamma) / (snr + 1))[:, None, None, None]
