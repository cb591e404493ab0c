"""The `fit` section: the image generator's model and its training."""

from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import (
    Device,
    Fraction,
    PositiveFloat,
    PositiveInt,
    Section,
    StageSection,
)

SizeMultipleOf8 = Annotated[int, Field(gt=0, multiple_of=8)]


class CropConfig(Section):
    """The augmented crops that the model is trained on, boxes included (albumentations).

    They are made once: `num_crops` of them, spread evenly over the train images.

    Attributes:
        num_crops: How many.
        size: (width, height) in pixels, multiples of 8; None takes the whole image.
        zoom: Crops are enlarged or shrunk by at most this share.
        flip_lr: Probability of a left-right flip; 0 where mirrored objects don't exist.
        flip_ud: Probability of an up-down flip.
        rotate90: Probability of a turn by a random multiple of 90 degrees.
        colour: Largest relative change of brightness, contrast and saturation.
    """

    num_crops: PositiveInt = 768
    size: tuple[SizeMultipleOf8, SizeMultipleOf8] | None = None
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.1
    flip_lr: Fraction = 0.5
    flip_ud: Fraction = 0.0
    rotate90: Fraction = 0.0
    colour: Fraction = 0.05


class AutoencoderConfig(Section):
    """A small `AutoencoderTiny`: images to latents at a quarter of the size, and back.

    Attributes:
        channels: Width of its convolutions; three carry the colours from the start.
        latent_channels: Channels of the latents.
        steps: Optimizer steps of encoder and decoder together.
        decoder_steps: Optimizer steps of the decoder alone, after the latents are whitened.
        batch_size: Crops a step.
        crop_size: Side of the square crops, pixels, a multiple of 8.
        learning_rate: Peak of a one-cycle schedule.
    """

    channels: Annotated[int, Field(ge=3)] = 32
    latent_channels: Annotated[int, Field(ge=3)] = 4
    steps: PositiveInt = 800
    decoder_steps: PositiveInt = 200
    batch_size: PositiveInt = 8
    crop_size: SizeMultipleOf8 = 64
    learning_rate: PositiveFloat = 1e-3


class DenoiserConfig(Section):
    """A small UNet and its ControlNet, trained together (v-prediction, zero terminal SNR).

    Attributes:
        block_out_channels: Width at each level of the UNet, multiples of 8.
        layers_per_block: Residual blocks a level.
        cross_attention_dim: Width of the text encoder, a multiple of 8.
        steps: Optimizer steps.
        batch_size: Latent crops a step.
        learning_rate: Peak of a one-cycle schedule.
        ema_decay: Of the averaged weights that are saved.
        condition_dropout: Share of samples trained without layout and prompt, for guidance.
        object_weight: Extra weight of an object in the loss, in that of its background, the
            same for small and large ones; 0 weighs all pixels alike.
        min_snr_gamma: Weigh noise levels by Min-SNR (Hang et al. 2023); None weighs them alike.
    """

    block_out_channels: Annotated[
        tuple[Annotated[int, Field(gt=0, multiple_of=8)], ...], Field(min_length=2)
    ] = (64, 96, 128)
    layers_per_block: PositiveInt = 1
    cross_attention_dim: SizeMultipleOf8 = 64
    steps: PositiveInt = 1500
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 6e-4
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    condition_dropout: Fraction = 0.1
    object_weight: Annotated[float, Field(ge=0)] = 0.0
    min_snr_gamma: PositiveFloat | None = None


class EmbeddedModel(Section):
    """A latent diffusion model and ControlNet trained from scratch on the train split."""

    kind: Literal["embedded"]
    crops: CropConfig = CropConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    denoiser: DenoiserConfig = DenoiserConfig()


class PretrainedModel(Section):
    """A Stable Diffusion base with a ControlNet, used as it is (safetensors only).

    Attributes:
        model: Folder or hub id of the base pipeline.
        controlnet: Folder or hub id of the ControlNet.
        revision: Commit of the base on the hub.
        controlnet_revision: Commit of the ControlNet on the hub.
    """

    kind: Literal["pretrained"]
    model: str
    controlnet: str
    revision: str | None = None
    controlnet_revision: str | None = None


class FitConfig(StageSection):
    """Trains, or names, the image generator.

    Attributes:
        model: Which.
        prompt_template: Text that describes an image; `{objects}` becomes
            "12 RBC, 1 WBC and 2 Platelets".
        device: `auto` takes a GPU where there is one, and says which was taken.
        checkpoint_every_s: Seconds between checkpoints, at which a killed fit goes on.
    """

    model: Annotated[EmbeddedModel | PretrainedModel, Field(discriminator="kind")]
    prompt_template: str = "a photo with {objects}"
    device: Device = "auto"
    checkpoint_every_s: PositiveFloat = 60
