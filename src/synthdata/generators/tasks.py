"""Pipelines for other tasks that share the models of a loaded text-to-image pipeline."""

from typing import Any, Literal

import diffusers
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import retrieve_latents

from synthdata.errors import GenerationError
from synthdata.training.denoiser import NO_CONTROL

Task = Literal["img2img", "inpaint"]

# UNets whose latents the inpainting pipelines mask: plain ones, and those trained to inpaint,
# which see the mask and the masked image's latents too. Others they would leave unmasked.
_INPAINT_CHANNELS = (4, 9)


class _LayoutGuidance:
    """Guides against "no layout" too, as the embedded model was trained.

    The same as in text-to-image, where the method has another name.
    """

    def prepare_control_image(
        self,
        *args: Any,  # noqa: ANN401
        do_classifier_free_guidance: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return the control images, those of the unconditional branch first."""
        image: torch.Tensor = super().prepare_control_image(  # type: ignore[misc]
            *args, do_classifier_free_guidance=False, **kwargs
        )
        if do_classifier_free_guidance:
            image = torch.cat([torch.full_like(image, NO_CONTROL), image])
        return image


class _LayoutGuidedImg2ImgPipeline(
    _LayoutGuidance,
    diffusers.StableDiffusionControlNetImg2ImgPipeline,  # type: ignore[misc]
):
    pass


class _LayoutGuidedInpaintPipeline(
    _LayoutGuidance,
    diffusers.StableDiffusionControlNetInpaintPipeline,  # type: ignore[misc]
):
    pass


def pipeline_for(task: Task, pipeline: Any, *, embedded: bool) -> Any:  # noqa: ANN401
    """Return the task's pipeline with the models and the sampler of a loaded one.

    Args:
        task: What it shall do.
        pipeline: A text-to-image pipeline with a ControlNet: Stable Diffusion, XL or Flux.
        embedded: Whether `fit` trained it, so that guidance acts on the layout too.

    Raises:
        GenerationError: If diffusers has no such pipeline for the model, or can't mask it.
    """
    if task == "inpaint":
        _check_channels(pipeline)
    if embedded:
        guided: Any = {
            "img2img": _LayoutGuidedImg2ImgPipeline,
            "inpaint": _LayoutGuidedInpaintPipeline,
        }[task]
        # Not `from_pipe`, which leaves out an autoencoder that isn't an `AutoencoderKL`.
        converted = guided(**pipeline.components, requires_safety_checker=False)
    else:
        auto = {
            "img2img": diffusers.AutoPipelineForImage2Image,
            "inpaint": diffusers.AutoPipelineForInpainting,
        }[task]
        try:
            # SDXL's would come back otherwise, where its package is installed.
            converted = auto.from_pipe(pipeline, add_watermarker=False)
        except ValueError as error:
            raise GenerationError(
                f"diffusers has no {task} pipeline for {type(pipeline).__name__}; use a base of "
                f"the Stable Diffusion, XL or Flux family: {error}"
            ) from error
    converted.set_progress_bar_config(disable=True)
    return converted


@torch.no_grad()
def autoencode(vae: Any, images: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return what a pipeline's autoencoder keeps of `(N, 3, H, W)` images in [0, 1]."""
    if getattr(vae.config, "force_upcast", False) and vae.dtype == torch.float16:
        vae.to(torch.float32)  # SDXL's overflows in float16, and its pipelines do the same
    # Not the whole model's: on a CPU the decoder alone holds a half precision.
    dtype = next(vae.encoder.parameters()).dtype
    encoded = vae.encode((images * 2 - 1).to(vae.device, dtype))
    latents = retrieve_latents(encoded, sample_mode="argmax")
    copies: torch.Tensor = vae.decode(latents).sample
    return (copies.float() / 2 + 0.5).clamp(0, 1)


def _check_channels(pipeline: Any) -> None:  # noqa: ANN401
    unet = getattr(pipeline, "unet", None)
    if unet is not None and unet.config.in_channels not in _INPAINT_CHANNELS:
        raise GenerationError(
            f"inpainting needs a UNet with {' or '.join(map(str, _INPAINT_CHANNELS))} input "
            f"channels, the model has {unet.config.in_channels}; set "
            "fit.model.autoencoder.latent_channels to 4, or use kind img2img"
        )
