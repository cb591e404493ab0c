"""Loading of the pipeline that stage `fit` left: the embedded one or a pretrained base."""

from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate.utils import convert_outputs_to_fp32

from synthdata.errors import GenerationError
from synthdata.training.card import GeneratorCard
from synthdata.training.denoiser import NO_CONTROL
from synthdata.training.families import Family, family_of
from synthdata.training.hardware import Hardware
from synthdata.training.lora import load_adapters
from synthdata.training.pretrained import (
    load_controlnet,
    load_family,
    load_pipeline,
    loading,
)

_SAMPLERS = {
    "ddim": "DDIMScheduler",
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}


class _LayoutGuidedPipeline(diffusers.StableDiffusionControlNetPipeline):  # type: ignore[misc]
    """Guides against "no layout" too, as the embedded model was trained.

    The plain pipeline shows the layout to both branches, so that guidance acts on the prompt
    only.
    """

    def prepare_image(
        self,
        *args: Any,  # noqa: ANN401
        do_classifier_free_guidance: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return the control images, those of the unconditional branch first."""
        image: torch.Tensor = super().prepare_image(
            *args, do_classifier_free_guidance=False, **kwargs
        )
        if do_classifier_free_guidance:
            image = torch.cat([torch.full_like(image, NO_CONTROL), image])
        return image


def load_generator(
    card: GeneratorCard, model_dir: Path, *, hardware: Hardware, sampler: str
) -> tuple[Any, Family]:
    """Return the pipeline on its device, and its family.

    Args:
        card: Says what the model consists of.
        model_dir: The folder of the card.
        hardware: The device, and the number format: of all weights on a GPU; on a CPU, of the
            products in the denoiser and its ControlNet.
        sampler: `own` keeps the pipeline's; see `ControlNetConfig`.

    Raises:
        GenerationError: If a part can't be loaded, or the sampler doesn't suit the family.
        ConfigError: If the base or its ControlNet is of an unknown kind.
    """
    dtype = hardware.dtype if hardware.device.type == "cuda" else torch.float32
    load = _load_embedded if card.kind == "embedded" else _load_pretrained
    pipeline, family = load(card, model_dir, dtype)
    if sampler != "own":
        if not family.any_sampler:
            raise GenerationError(
                f"scheduler is {sampler!r}, which doesn't suit {family.title}: it is sampled by "
                "flow matching; set the generator's scheduler to own"
            )
        kind = getattr(diffusers, _SAMPLERS[sampler])
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    denoisers = (getattr(pipeline, family.denoiser), pipeline.controlnet)
    for part in (*denoisers, pipeline.vae):
        part.to(memory_format=hardware.memory_format)
    if hasattr(pipeline.controlnet, "controlnet_cond_embedding"):
        _compute_once(pipeline.controlnet.controlnet_cond_embedding)
    if hardware.dtype != dtype:
        for part in (*denoisers, pipeline.vae.decoder):
            part.forward = torch.autocast(hardware.device.type, dtype=hardware.dtype)(part.forward)
        # Else samplers would round their latents to what the last product gives.
        denoisers[0].forward = convert_outputs_to_fp32(denoisers[0].forward)
        *_, last = pipeline.vae.decoder.modules()
        for part in (*denoisers, pipeline.vae.decoder):
            _cast_once(part, hardware.dtype, besides=last)
        _in_float32(last)
    return pipeline.to(hardware.device), family


def _cast_once(module: Any, dtype: torch.dtype, *, besides: Any) -> None:  # noqa: ANN401
    """Hold the weights of products as autocast would cast them in every call."""
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear) and part is not besides:
            part.to(dtype)


def _in_float32(module: Any) -> None:  # noqa: ANN401
    """Take a module out of the autocast around it.

    For the convolution that makes the pixels: bfloat16 has as many steps as they have grey levels.
    """
    forward = module.forward

    def exact(tensor: torch.Tensor) -> torch.Tensor:
        with torch.autocast(tensor.device.type, enabled=False):
            result: torch.Tensor = forward(tensor.float())
            return result

    module.forward = exact


def _compute_once(module: Any) -> None:  # noqa: ANN401
    """Let a module return what it returned last when it is given the same tensor again.

    A ControlNet embeds its picture, at full size, anew in every denoising step.
    """
    forward = module.forward
    last: tuple[torch.Tensor, torch.Tensor] | None = None

    def remembering(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal last
        if last is None or not last[0].is_set_to(tensor):
            last = tensor, forward(tensor)
        return last[1]

    module.forward = remembering


def _load_embedded(card: GeneratorCard, model_dir: Path, dtype: torch.dtype) -> tuple[Any, Family]:
    folder = model_dir / card.pipeline
    with loading(folder):
        pipeline = _LayoutGuidedPipeline.from_pretrained(
            folder, local_files_only=True, dtype=dtype, use_safetensors=True
        )
    return pipeline, family_of("StableDiffusionControlNetPipeline")


def _load_pretrained(
    card: GeneratorCard, model_dir: Path, dtype: torch.dtype
) -> tuple[Any, Family]:
    family = load_family(card.pipeline, card.revision)
    if card.trained_controlnet is None:
        controlnet = load_controlnet(family, card.controlnet, card.controlnet_revision, dtype)
    else:
        controlnet = load_controlnet(family, model_dir / card.trained_controlnet, None, dtype)
    pipeline = load_pipeline(
        family, card.pipeline, card.revision, controlnet=controlnet, dtype={"default": dtype}
    )
    if card.lora is not None:
        load_adapters(pipeline, model_dir / card.lora)
    return pipeline, family
