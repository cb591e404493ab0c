import numpy as np
import pytest
import torch

from synthdata.config.fit import AutoencoderConfig
from synthdata.samples import UInt8Array
from synthdata.training.autoencoder import (
    build_autoencoder,
    encode_images,
    fold_whitening,
    peak_signal_to_noise,
    reconstruction_loss,
    reconstruction_residual,
    to_model_range,
)
from synthdata.training.hardware import choose_hardware

CONFIG = AutoencoderConfig(channels=16, steps=1, batch_size=4, crop_size=32)


@pytest.fixture
def images() -> UInt8Array:
    """Smooth colour fields with dark discs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :48]
    pictures = []
    for _ in range(16):
        picture = rng.uniform(120, 255, 3) + rng.uniform(-1, 1, 3) * x[..., None]
        for _ in range(6):
            cx, cy, r = rng.uniform(0, 48), rng.uniform(0, 32), rng.uniform(2, 8)
            picture[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(0, 255, 3)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(pictures)


def trained(images: UInt8Array, steps: int) -> torch.nn.Module:
    torch.manual_seed(0)
    autoencoder = build_autoencoder(CONFIG)
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=3e-3)
    hardware = choose_hardware("cpu")
    for step in range(steps):
        loss = reconstruction_loss(
            autoencoder,
            torch.from_numpy(images),
            CONFIG,
            hardware=hardware,
            generator=torch.Generator().manual_seed(step),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return autoencoder


def decoded(autoencoder: torch.nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures, and the output of the decoder's first convolution without the clamp."""
    with torch.no_grad():
        latents = autoencoder.encode(batch).latents
        return autoencoder.decode(latents).sample, autoencoder.decoder.layers[0](latents)


def test_folded_latents_are_white_and_pictures_stay(images: UInt8Array) -> None:
    hardware = choose_hardware("cpu")
    autoencoder = trained(images, 60)
    batch = to_model_range(torch.from_numpy(images))
    before, first_before = decoded(autoencoder, batch)
    raw = encode_images(autoencoder, images, hardware).permute(0, 2, 3, 1).reshape(-1, 4)
    assert np.abs(np.cov(raw.T) - np.eye(4)).max() > 0.5, "far from white before"

    fold_whitening(autoencoder, images, hardware)

    white = encode_images(autoencoder, images, hardware).permute(0, 2, 3, 1).reshape(-1, 4)
    assert white.mean(0).abs().max() < 1e-3
    # Directions below 2 % of the largest variance are blown up no further than it would be.
    variances = np.linalg.eigvalsh(np.cov(raw.T))
    expected = np.sort(variances / np.maximum(variances, 0.02 * variances.max()))
    assert expected[1:] == pytest.approx(np.ones(3)), "most are white"
    assert np.linalg.eigvalsh(np.cov(white.T)) == pytest.approx(expected, abs=1e-3)
    after, first_after = decoded(autoencoder, batch)
    # Zero padding stands for another value now, so that the border differs.
    inner = np.s_[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(first_after[inner], first_before[inner], atol=1e-3, rtol=1e-3)
    # The decoder's clamp bends latents of another size differently, by little.
    inner = np.s_[:, :, 12:-12, 12:-12]
    assert (before - after)[inner].abs().mean() < 0.02 * before.std()


def test_a_direction_without_variance_is_not_blown_up(images: UInt8Array) -> None:
    hardware = choose_hardware("cpu")
    autoencoder = trained(images, 5)
    with torch.no_grad():
        autoencoder.encoder.layers[-1].weight[3].copy_(autoencoder.encoder.layers[-1].weight[2])

    fold_whitening(autoencoder, images, hardware)

    white = encode_images(autoencoder, images, hardware).permute(0, 2, 3, 1).reshape(-1, 4)
    eigenvalues = np.linalg.eigvalsh(np.cov(white.T))
    assert eigenvalues[0] == pytest.approx(0, abs=1e-3)
    assert eigenvalues[-1] == pytest.approx(1, abs=1e-3)


def test_a_fresh_model_shows_the_colours_of_flat_pictures() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 1, 1, 3)).astype(np.uint8)
    batch = to_model_range(torch.from_numpy(np.broadcast_to(colours, (8, 64, 64, 3)).copy()))
    autoencoder = build_autoencoder(CONFIG)

    with torch.no_grad():
        output = autoencoder.decode(autoencoder.encode(batch).latents).sample

    # The clamp of the latents costs a little contrast; the border sees zero padding.
    assert (output - batch)[:, :, 24:-24, 24:-24].abs().max() < 0.1


def test_training_improves_the_reconstruction(images: UInt8Array) -> None:
    hardware = choose_hardware("cpu")

    residuals = [
        reconstruction_residual(trained(images, steps), images, hardware) for steps in (2, 40)
    ]

    assert residuals[0].shape == images.shape
    psnr = [peak_signal_to_noise(residual) for residual in residuals]
    assert psnr[1] > psnr[0] + 3
    expected = 20 * np.log10(255 / np.sqrt(np.mean(residuals[1] ** 2)))
    assert psnr[1] == pytest.approx(expected, abs=0.01)


def test_an_untrained_model_keeps_colours() -> None:
    """From random weights it would come out grey for hundreds of steps."""
    torch.manual_seed(0)
    colours = torch.rand(8, 3, 1, 1).mul(1.6).sub(0.8).expand(-1, -1, 32, 32)
    with torch.no_grad():
        autoencoder = build_autoencoder(CONFIG)
        output = autoencoder.decode(autoencoder.encode(colours).latents).sample
    # Away from the border, where zero padding darkens it.
    inside = (slice(None), slice(None), slice(8, 24), slice(8, 24))
    torch.testing.assert_close(output[inside], colours[inside], atol=0.1, rtol=0)
