"""What a family of pretrained pipelines must tell: how its training looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from synthdata.errors import ConfigError

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Trainee:
    """The models of one training.

    Attributes:
        denoiser: UNet or transformer of the base.
        controlnet: Beside it.
        scheduler: The noise schedule.
    """

    denoiser: Any
    controlnet: Any
    scheduler: Any


class Family(Protocol):
    """A family: pipelines with the same parts, called the same way.

    Attributes:
        title: Its name for people.
        pipeline: The class with a ControlNet.
        denoiser: Name of the denoiser among the pipeline's parts.
        denoiser_class: Class of the denoiser.
        controlnet_class: Class of its ControlNets.
        scheduler_class: Class of the schedule of trainings.
        size_multiple: Image sides are multiples of it, pixels.
        any_sampler: Whether samplers other than the pipeline's own suit it.
        lora_targets: Layers of the denoiser that get adapters.
        options: Arguments of the pipeline's `from_pretrained`.
        half_batch: Images sampled at once in a half precision.
    """

    title: str
    pipeline: Any
    denoiser: str
    denoiser_class: Any
    controlnet_class: Any
    scheduler_class: Any
    size_multiple: int
    any_sampler: bool
    lora_targets: Sequence[str]
    options: Mapping[str, Any]
    half_batch: int

    def new_controlnet(self, denoiser: Any) -> Any:  # noqa: ANN401
        """Return an untrained ControlNet that starts from the denoiser's weights."""

    def check_controlnet(self, controlnet: Any) -> None:  # noqa: ANN401
        """Check that a ControlNet of the right class takes a picture and nothing else.

        Raises:
            ConfigError: If it doesn't.
        """

    def control_argument(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the pipeline's argument for `(B, 3, H, W)` pictures in [0, 1]."""

    def encode_pictures(self, pipeline: Any, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        """Return what the ControlNet sees of `(B, 3, H, W)` pictures in [0, 1], for `loss`."""

    def encode_prompts(self, pipeline: Any, prompts: list[str]) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Return the prompts' embeddings, one row a prompt, as `generate` computes them."""

    def loss(self, trainee: Trainee, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the training loss of a batch.

        Args:
            trainee: The models, on their device.
            batch: `latents`, `control` (of `encode_pictures`) and the prompts' embeddings.
            generator: All the randomness, on the CPU, so that every device draws the same.
        """


def encode_images(pipeline: Any, images: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return the scaled latents of `(B, 3, H, W)` images in [-1, 1]: the posterior's mode.

    Raises:
        ConfigError: If the autoencoder isn't a variational one.
    """
    vae = pipeline.vae
    encoded = vae.encode(images.to(vae.device, vae.dtype))
    if not hasattr(encoded, "latent_dist"):
        raise ConfigError(
            f"a base with an AutoencoderKL can be trained, this one has a {type(vae).__name__}; "
            "set fit.model.training to null to use it as it is"
        )
    latents = encoded.latent_dist.mode()
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return (latents - shift) * vae.config.scaling_factor  # type: ignore[no-any-return]


def normal_like(latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return float32 noise of the latents' shape and device, drawn on the CPU."""
    return torch.randn(latents.shape, generator=generator).to(latents.device)
