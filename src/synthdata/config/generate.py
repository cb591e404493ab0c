"""The `generate` section: the image generators, each a pool of images for the same layouts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

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
        scheduler: Sampler; `own` keeps the pipeline's.
        render_scale: Images are made this many times larger than their layout and shrunk
            back; for pretrained models, whose smallest useful size is fixed.
        batch_size: Images at once; changes speed, not images.
        device: `auto` takes a GPU where there is one.
    """

    kind: Literal["controlnet"]
    num_inference_steps: PositiveInt = 16
    guidance_scale: PositiveFloat = 1.5
    controlnet_conditioning_scale: PositiveFloat = 1.0
    scheduler: Literal["own", "ddim", "dpmsolver++", "unipc"] = "ddim"
    render_scale: PositiveFloat = 1.0
    batch_size: PositiveInt = 8
    device: Device = "auto"


class CopyPasteConfig(Section):
    """Pastes objects cut from train images onto train images; the free baseline.

    Attributes:
        num_objects: Smallest and largest number of objects pasted an image.
        balance: 0 draws objects as often as they occur, 1 draws each class as often.
        max_overlap: A pasted box and another share at most this part of the smaller one.
        scale_jitter: Standard deviation of the pasted object's size, of its logarithm.
        flip_lr: Probability that a pasted object is flipped left to right.
        mask: What of a box is pasted: the `ellipse` inside it, for round objects, or all of it.
        feather: Width of the soft border around that, as a fraction of half the box.
    """

    kind: Literal["copy_paste"]
    num_objects: tuple[PositiveInt, PositiveInt] = (2, 6)
    balance: Fraction = 0.75
    max_overlap: Fraction = 0.1
    scale_jitter: Fraction = 0.15
    flip_lr: Fraction = 0.5
    mask: Literal["ellipse", "box"] = "ellipse"
    feather: Fraction = 0.15

    @field_validator("num_objects")
    @classmethod
    def _smallest_first(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError(f"num_objects is (smallest, largest), got {list(value)}")
        return value


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
