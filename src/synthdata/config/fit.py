"""The `fit` section: the image generator's model and its training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from synthdata.config.base import (
    NO_EFFECT,
    Device,
    Fraction,
    MixedPrecision,
    PositiveFloat,
    PositiveInt,
    Section,
    StageSection,
)
from synthdata.config.clip import ClipTrainingConfig

SizeMultipleOf8 = Annotated[int, Field(gt=0, multiple_of=8)]


class CropConfig(Section):
    """The augmented crops that the model is trained on, boxes included (albumentations).

    They are made once: `num_crops` of them, spread evenly over the train images.

    Attributes:
        num_crops: How many.
        focus: Share of them that is placed around an object instead, with every class drawn
            equally often: rare and small objects are seen more often than images show them.
        size: (width, height) in pixels, multiples of 8; None takes the whole image.
        zoom: Crops are enlarged or shrunk by at most this share.
        flip_lr: Probability of a left-right flip; 0 where mirrored objects don't exist.
        flip_ud: Probability of an up-down flip.
        rotate90: Probability of a turn by a random multiple of 90 degrees.
        colour: Largest relative change of brightness, contrast and saturation.
    """

    num_crops: PositiveInt = 768
    focus: Fraction = 0.0
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
        ema_decay: Decay of the averaged weights that are saved; 0 saves the last weights, which
            the schedule's end has settled.
        condition_dropout: Share of samples trained without layout and prompt, for guidance.
        object_weight: Extra weight of an object in the loss, in that of its background, the
            same for small and large ones; 0 weighs all pixels alike.
        min_snr_gamma: Weigh noise levels by Min-SNR (Hang et al. 2023); None weighs them alike.
            Pure noise, where sampling starts and an image gets its mean colour, weighs nothing.
    """

    block_out_channels: Annotated[
        tuple[Annotated[int, Field(gt=0, multiple_of=8)], ...], Field(min_length=2)
    ] = (64, 96, 128)
    layers_per_block: PositiveInt = 1
    cross_attention_dim: SizeMultipleOf8 = 64
    steps: PositiveInt = 1500
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 6e-4
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    condition_dropout: Fraction = 0.1
    object_weight: Annotated[float, Field(ge=0)] = 0.0
    min_snr_gamma: PositiveFloat | None = None


class EmbeddedModel(Section):
    """A latent diffusion model and ControlNet trained from scratch on the train split.

    Attributes:
        mixed_precision: Number format of the products; `auto` is bf16 where the device has
            units for it, else fp16 on a GPU and none on a CPU. Trained weights are float32.
        channels_last: How tensors lie in memory: a pixel's channels side by side, in which
            convolutions are fastest; false tries the other layout, for a device where it isn't.
        crops: What they are trained on.
        autoencoder: Sizes and steps of the autoencoder.
        denoiser: Sizes and steps of UNet and ControlNet.
    """

    kind: Literal["embedded"]
    mixed_precision: MixedPrecision = "auto"
    channels_last: bool = True
    crops: CropConfig = CropConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    denoiser: DenoiserConfig = DenoiserConfig()


class FineTuneConfig(Section):
    """Training of a ControlNet, of LoRA adapters of the base, or of both.

    A step's data depend on the seed and the step only: two devices with one batch each
    train as one device does that accumulates two.

    Attributes:
        crops: What is shown, at the size at which images are made later.
        train_controlnet: Whether the ControlNet is trained.
        lora_rank: Rank of the adapters on the base's attention layers (needs peft); null
            adds none.
        steps: Optimizer steps.
        batch_size: Crops a device and backward pass.
        gradient_accumulation_steps: Backward passes an optimizer step.
        learning_rate: Peak of a one-cycle schedule.
        prompt_dropout: Share of samples trained with an empty prompt, for guidance.
        gradient_checkpointing: Compute activations twice rather than keep them: less memory,
            more time.
        mixed_precision: Number format of the products; `auto` is bf16 where the device has
            units for it, else fp16 on a GPU and none on a CPU. Trained weights are float32.
        channels_last: How tensors lie in memory: a pixel's channels side by side, in which
            convolutions are fastest; false tries the other layout, for a device where it isn't.
        num_processes: Devices of this machine, one process each (`torchrun`).
    """

    crops: CropConfig = CropConfig()
    train_controlnet: bool = True
    lora_rank: PositiveInt | None = None
    steps: PositiveInt = 2000
    batch_size: PositiveInt = 4
    gradient_accumulation_steps: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-5
    prompt_dropout: Fraction = 0.1
    gradient_checkpointing: bool = False
    mixed_precision: MixedPrecision = "auto"
    channels_last: bool = True
    num_processes: PositiveInt = 1

    @model_validator(mode="after")
    def _something_to_train(self) -> Self:
        if not self.train_controlnet and self.lora_rank is None:
            raise ValueError(
                "nothing is trained: set train_controlnet to true, lora_rank to a number, or "
                "training itself to null to use the models as they are"
            )
        return self


class PretrainedModel(Section):
    """Stable Diffusion, SDXL or Flux with a ControlNet (safetensors only).

    Attributes:
        model: Folder or hub id of the base pipeline.
        controlnet: Folder or hub id of the ControlNet; null starts one from the base, which
            then must be trained.
        revision: Commit of the base on the hub.
        controlnet_revision: Commit of the ControlNet on the hub.
        training: What is trained on the train split; null uses both as they are.
    """

    kind: Literal["pretrained"]
    model: str
    controlnet: str | None = None
    revision: str | None = None
    controlnet_revision: str | None = None
    training: FineTuneConfig | None = None

    @model_validator(mode="after")
    def _a_controlnet_that_knows_something(self) -> Self:
        if self.controlnet is None:
            if self.training is None or not self.training.train_controlnet:
                raise ValueError(
                    "controlnet is null, and a new ControlNet does nothing before it is trained; "
                    "name one, or set training.train_controlnet to true"
                )
            if self.controlnet_revision is not None:
                raise ValueError("controlnet_revision is set but controlnet is null; remove one")
        return self


class FitConfig(StageSection):
    """Trains, or names, the image generator.

    Attributes:
        model: Which.
        clip: A small CLIP of the data set's own objects, trained beside it for the filter `clip`;
            null trains none.
        prompt_template: Text that describes an image; `{objects}` becomes
            "12 RBC, 1 WBC and 2 Platelets".
        device: `auto` takes a GPU where there is one, and says which was taken.
        checkpoint_every_s: Seconds between checkpoints, at which a killed fit goes on.
    """

    model: Annotated[EmbeddedModel | PretrainedModel, Field(discriminator="kind")]
    clip: ClipTrainingConfig | None = None
    prompt_template: Annotated[str, Field(min_length=1)] = "a photo with {objects}"
    device: Device = "auto"
    checkpoint_every_s: Annotated[PositiveFloat, NO_EFFECT] = 60
