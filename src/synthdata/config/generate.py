"""The `generate` section: the image generators, each a pool of images for the same layouts."""

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


class ControlNetConfig(Section):
    """Any diffusers ControlNet pipeline: what `fit` made or named.

    Attributes:
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance; 1 turns it off.
        controlnet_conditioning_scale: Weight of the layout.
        scheduler: Sampler.
        batch_size: Images at once; changes speed, not images.
        device: `auto` takes a GPU where there is one.
    """

    kind: Literal["controlnet"]
    num_inference_steps: PositiveInt = 16
    guidance_scale: PositiveFloat = 1.5
    controlnet_conditioning_scale: PositiveFloat = 1.0
    scheduler: Literal["ddim", "dpmsolver++", "unipc"] = "ddim"
    batch_size: PositiveInt = 8
    device: Device = "auto"


class CopyPasteConfig(Section):
    """Pastes objects cut from train images onto train images; the free baseline.

    Attributes:
        num_objects: Smallest and largest number of objects pasted an image.
        balance: 0 draws objects as often as they occur, 1 draws each class as often.
        max_overlap: A pasted box overlaps others at most by this IoU.
        feather: Width of the soft border, as a fraction of the box.
    """

    kind: Literal["copy_paste"]
    num_objects: tuple[PositiveInt, PositiveInt] = (2, 6)
    balance: Fraction = 0.5
    max_overlap: Fraction = 0.1
    feather: Fraction = 0.15


GeneratorConfig = Annotated[ControlNetConfig | CopyPasteConfig, Field(discriminator="kind")]


class GenerateConfig(StageSection):
    """Makes one image a layout with each generator.

    Attributes:
        generators: Pool name to generator; `synthetic` and `copy_paste` are the pools that
            the arms of those names take.
        shard_size: Images between two checkpoints.
    """

    generators: dict[str, GeneratorConfig]
    shard_size: PositiveInt = 32
