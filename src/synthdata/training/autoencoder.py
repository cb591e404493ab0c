"""The autoencoder: images to white latents at a quarter of the size, and back.

Diffusion learns latents of zero mean and unit covariance best; those of a small autoencoder
on few images are far from it. So after the autoencoder is trained, its latents are whitened,
the whitening is folded into the encoder's last and the decoder's first convolution, and the
decoder alone is trained on. A pipeline that loads the saved model needs to know nothing.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from diffusers import AutoencoderTiny
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import nn

from synthdata.boxes import FloatArray
from synthdata.config.fit import AutoencoderConfig
from synthdata.samples import UInt8Array
from synthdata.training.hardware import Hardware

# `DecoderTiny` clamps its input with tanh(x / 3) * 3. Latents are kept at a third of unit
# variance inside the model, where that is almost linear; `scaling_factor` undoes it outside.
_INNER_STD = 1 / 3
# Directions with less variance than this share of the largest aren't blown up further.
_MIN_EIGENVALUE = 0.02
_ENCODE_BATCH = 16


def build_autoencoder(config: AutoencoderConfig) -> Any:  # noqa: ANN401
    """Return an untrained `AutoencoderTiny` with a downsampling factor of 4."""
    widths = (config.channels,) * 3
    autoencoder = AutoencoderTiny(
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        # None at full resolution, where a block costs sixteen times one of the latents' size.
        num_encoder_blocks=(0, 2, 2),
        num_decoder_blocks=(2, 2, 1),
        latent_channels=config.latent_channels,
        scaling_factor=1 / _INNER_STD,
    )
    _pass_colours_through(autoencoder)
    return autoencoder


@torch.no_grad()
def _pass_colours_through(autoencoder: Any) -> None:  # noqa: ANN401
    """Make the fresh model carry the mean colour of each latent's pixels to its output.

    From random weights a few hundred steps end in a grey world: the latents that come to
    life first take brightness, and the rest never catch up. Here three channels start as the
    identity: 2x2 means on the way down, 3x3 tents after each doubling on the way up, and
    residual blocks that add nothing yet. What is finer than 4 pixels is left to be learnt.
    """
    for block in autoencoder.modules():
        if isinstance(block, AutoencoderTinyBlock):
            nn.init.zeros_(block.conv[-1].weight)
            nn.init.zeros_(block.conv[-1].bias)
    down, up = (
        [layer for layer in part.layers if isinstance(layer, nn.Conv2d)]
        for part in (autoencoder.encoder, autoencoder.decoder)
    )
    identity = torch.zeros(3, 3)
    identity[1, 1] = 1
    mean = torch.zeros(3, 3)
    mean[1:, 1:] = 1 / 4
    tent = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16
    _carry(down[0], identity)
    for layer in down[1:-1]:
        _carry(layer, mean)
    # Inside the model colours lie in [0, 1], latents are centred and small.
    _carry(down[-1], 2 * _INNER_STD * identity, bias=-_INNER_STD)
    _carry(up[0], identity / (2 * _INNER_STD), bias=0.5)
    for layer in up[1:-1]:
        _carry(layer, tent)
    for parameter in up[-1].parameters():
        nn.init.zeros_(parameter)
    _carry(up[-1], identity)


def _carry(layer: nn.Conv2d, kernel: torch.Tensor, bias: float = 0.0) -> None:
    """Make each of the first three channels that channel of the input, filtered."""
    for channel in range(3):
        layer.weight[channel] = 0
        layer.weight[channel, channel] = kernel
        if layer.bias is not None:
            layer.bias[channel] = bias


def to_model_range(images: torch.Tensor) -> torch.Tensor:
    """Return `(N, H, W, 3)` uint8 as `(N, 3, H, W)` float32 in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def reconstruction_loss(
    autoencoder: nn.Module,
    images: torch.Tensor,
    config: AutoencoderConfig,
    *,
    hardware: Hardware,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the L1 distance of pixels and of their differences, over random crops.

    The differences' part keeps edges and small spots, which L1 alone smooths away.

    Args:
        autoencoder: Encoder and decoder.
        images: `(N, H, W, 3)` uint8.
        config: Crop size and batch size.
        hardware: Where to compute.
        generator: The step's randomness.
    """
    batch = to_model_range(_random_crops(images, config, generator)).to(hardware.device)
    with hardware.autocast():
        output = autoencoder.decode(autoencoder.encode(batch).latents).sample.float()  # type: ignore[operator]
    loss = F.l1_loss(output, batch)
    for dim in (-1, -2):
        loss = loss + F.l1_loss(output.diff(dim=dim), batch.diff(dim=dim))
    return loss


def _random_crops(
    images: torch.Tensor, config: AutoencoderConfig, generator: torch.Generator
) -> torch.Tensor:
    height, width = images.shape[1:3]
    crop_height, crop_width = min(config.crop_size, height), min(config.crop_size, width)
    limits = (len(images), height - crop_height + 1, width - crop_width + 1)
    picks = [
        torch.randint(limit, (config.batch_size,), generator=generator).tolist() for limit in limits
    ]
    return torch.stack(
        [images[i, y : y + crop_height, x : x + crop_width] for i, y, x in zip(*picks, strict=True)]
    )


@torch.no_grad()
def encode_images(autoencoder: Any, images: UInt8Array, hardware: Hardware) -> torch.Tensor:  # noqa: ANN401
    """Return the latents that the denoiser is trained on: `(N, C, H/4, W/4)` float32."""
    latents = [
        autoencoder.encode(to_model_range(batch).to(hardware.device)).latents.float().cpu()
        for batch in torch.split(torch.from_numpy(images), _ENCODE_BATCH)
    ]
    scaling_factor: float = autoencoder.config.scaling_factor
    return torch.cat(latents) * scaling_factor


@torch.no_grad()
def fold_whitening(autoencoder: Any, images: UInt8Array, hardware: Hardware) -> None:  # noqa: ANN401
    """Make the latents of `images` white, by a change of two convolutions in place.

    Latents x become W (x - m), with W the inverse square root of their covariance. The
    decoder's first convolution gets the inverse; it is exact but for the image's border,
    where zero padding now stands for the mean, and for the clamp.
    """
    raw = encode_images(autoencoder, images, hardware) / autoencoder.config.scaling_factor
    flat = raw.permute(0, 2, 3, 1).reshape(-1, raw.shape[1]).double()
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    root = values.clamp_min(_MIN_EIGENVALUE * float(values.max())).sqrt()
    whiten = (vectors / root) @ vectors.T * _INNER_STD
    colour = (vectors * root) @ vectors.T / _INNER_STD
    last = autoencoder.encoder.layers[-1]
    first = autoencoder.decoder.layers[0]
    mean, whiten, colour = (x.to(last.weight) for x in (mean, whiten, colour))
    last.weight.copy_(torch.einsum("oi,ichw->ochw", whiten, last.weight))
    last.bias.copy_(whiten @ (last.bias - mean))
    first.bias.add_(torch.einsum("oihw,i->o", first.weight, mean))
    first.weight.copy_(torch.einsum("oihw,ic->ochw", first.weight, colour))


@torch.no_grad()
def reconstruction_residual(
    autoencoder: Any,  # noqa: ANN401
    images: UInt8Array,
    hardware: Hardware,
) -> FloatArray:
    """Return images less their reconstruction, `(N, H, W, 3)` in grey levels."""
    residuals = []
    for batch in torch.split(torch.from_numpy(images), _ENCODE_BATCH):
        target = to_model_range(batch).to(hardware.device)
        output = autoencoder.decode(autoencoder.encode(target).latents).sample.clamp(-1, 1)
        residuals.append((target - output).mul(127.5).permute(0, 2, 3, 1).cpu())
    result: FloatArray = torch.cat(residuals).numpy()
    return result


def peak_signal_to_noise(residual: FloatArray) -> float:
    """Return the peak signal-to-noise ratio of reconstructions, in dB."""
    return round(float(10 * np.log10(255**2 / np.square(residual).mean())), 2)
