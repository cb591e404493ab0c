"""The image generators: how the model that `fit` made or named is sampled."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from synthdata.config.base import (
    Device,
    Fraction,
    MixedPrecision,
    PositiveFloat,
    PositiveInt,
    Section,
)
from synthdata.config.paste import ObjectRange


class PipelineConfig(Section):
    """How a diffusers ControlNet pipeline, that `fit` made or named, samples an image.

    Attributes:
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance; 1 turns it off.
        guidance_start: Share of the steps that are run before the first guided one; unguided ones
            take half the time. Not for Flux, which is told its guidance.
        guidance_end: Share of the steps that are run up to the last guided one. Not for Flux.
        guidance_rescale: How far guided images get back the contrast that guidance changes, from
            0 to 1. Not for Flux.
        controlnet_conditioning_scale: Weight of the layout.
        scheduler: Sampler; `own` keeps the pipeline's.
        render_scale: Images are made this many times larger than their layout and shrunk
            back; for pretrained models, whose smallest useful size is fixed.
        grain: Whether images get the noise of real ones that an autoencoder leaves out. For a
            model that `fit` trained from scratch; a pretrained one is left as it is.
        batch_size: Images at once in float32. Changes speed, and images by a grey level at most.
            In a half precision it would change them by more: an embedded model makes 16 at once
            there, Stable Diffusion 4, SDXL and Flux 1.
        device: `auto` takes a GPU where there is one.
        mixed_precision: Number format of the products; `auto` is bf16 where the device has
            units for it, else fp16 on a GPU and fp32 on a CPU.
        channels_last: How tensors lie in memory: a pixel's channels side by side, in which
            convolutions are fastest; false tries the other layout, for a device where it isn't.
    """

    num_inference_steps: PositiveInt = 16
    guidance_scale: PositiveFloat = 1.5
    guidance_start: Annotated[float, Field(ge=0, lt=1)] = 0.0
    guidance_end: Annotated[float, Field(gt=0, le=1)] = 1.0
    guidance_rescale: Fraction = 0.0
    controlnet_conditioning_scale: PositiveFloat = 1.0
    scheduler: Literal["own", "ddim", "dpmsolver++", "unipc"] = "ddim"
    render_scale: PositiveFloat = 1.0
    grain: bool = False
    batch_size: PositiveInt = 8
    device: Device = "auto"
    mixed_precision: MixedPrecision = "auto"
    channels_last: bool = True

    @model_validator(mode="after")
    def _guides_somewhere(self) -> Self:
        if self.guidance_start >= self.guidance_end:
            raise ValueError(
                "guidance_start must be below guidance_end, got "
                f"{self.guidance_start} and {self.guidance_end}; guidance_scale 1 turns it off"
            )
        return self


class ControlNetConfig(PipelineConfig):
    """An image from noise alone, that shows the requested layout."""

    kind: Literal["controlnet"]


class RepaintConfig(PipelineConfig):
    """An image that starts from a real train image.

    Attributes:
        strength: Share of the denoising steps that are run: near 0 keeps the real image, 1
            starts from pure noise.
    """

    strength: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _leaves_a_step(self) -> Self:
        # As the pipelines round it.
        if self.strength and int(self.num_inference_steps * self.strength) < 1:
            raise ValueError(
                "num_inference_steps x strength must be at least 1, so that a step is left to "
                f"run, got {self.num_inference_steps} x {self.strength}"
            )
        return self


class ImageToImageConfig(RepaintConfig):
    """A new appearance for a real train image: its layout and labels, other pixels."""

    kind: Literal["img2img"]
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6


class InpaintConfig(RepaintConfig):
    """Repaints a part of a real train image; the rest keeps its real pixels.

    Attributes:
        mode: `object` paints new objects where the image has room for them, `background`
            repaints all but the real objects.
        shape: The repainted (`object`) or kept (`background`) part of a box: all of the `box`, or
            the `ellipse` inside it, which leaves round objects no rectangle around them.
        margin: That part reaches this far beyond a box on each side, as a fraction of its size.
        feather: Width of the soft border around that, as a fraction of half its size.
        num_objects: Smallest and largest number of new objects an image, for `object`; fewer
            where the layout has fewer or there is no room.
        balance: Class balance of the new objects, for `object`: 0 draws them as often as they occur
            in train images, 1 each class as often, as a `paste` pool does, and of their sizes; None
            takes the layout's objects.
        max_overlap: A new box and another share at most this part of the smaller one, for
            `object`.
        keep_detail: The new background changes only what is coarser than this Gaussian, whose
            standard deviation is a fraction of the image's width; finer detail stays the real
            image's. 0 takes the new background whole. For `background`.
    """

    kind: Literal["inpaint"]
    mode: Literal["object", "background"] = "object"
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    shape: Literal["ellipse", "box"] = "box"
    margin: Fraction = 0.1
    feather: Fraction = 0.15
    num_objects: ObjectRange = (1, 3)
    balance: Fraction | None = None
    max_overlap: Fraction = 0.0
    keep_detail: Fraction = 0.0


GeneratorConfig = Annotated[
    ControlNetConfig | ImageToImageConfig | InpaintConfig,
    Field(discriminator="kind"),
]
