"""Image generator: a diffusers ControlNet pipeline, the one that `fit` made or named."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from synthdata import boxes
from synthdata.conditioning import control_map, control_picture
from synthdata.config.generate import ControlNetConfig, PipelineConfig
from synthdata.errors import GenerationError
from synthdata.samples import Annotations, GeneratedSample, GenerationRequest, Layout, UInt8Array
from synthdata.training.card import GeneratorCard, read_card
from synthdata.training.denoiser import NO_CONTROL
from synthdata.training.hardware import Hardware, choose_hardware

_SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}
# The pipelines take sizes that are multiples of this.
_SIZE_MULTIPLE = 8

_LIBRARY_LOGS = (diffusers.logging, transformers.logging)

logger = logging.getLogger(__name__)


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


class ControlNetGenerator:
    """Makes images with a ControlNet pipeline.

    Args:
        config: Steps, guidance and sampler.
        model_dir: The folder of stage `fit`.
        class_names: Of the data set, which must be those of the model.

    Raises:
        GenerationError: If the model can't be loaded, or has other classes.
    """

    def __init__(
        self, config: ControlNetConfig, model_dir: Path, *, class_names: Sequence[str]
    ) -> None:
        self._config = config
        self._card, self._pipeline = load_model(config, model_dir, class_names=class_names)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order; see `ImageGenerator`."""
        for _, same_size in groupby(requests, key=lambda r: (r.layout.width, r.layout.height)):
            group = list(same_size)
            for start in range(0, len(group), self._config.batch_size):
                yield from self._generate_batch(group[start : start + self._config.batch_size])

    def _generate_batch(self, requests: list[GenerationRequest]) -> Iterator[GeneratedSample]:
        canvases = [make_canvas(request.layout, self._config.render_scale) for request in requests]
        output = self._pipeline(
            prompt=[request.prompt for request in requests],
            image=draw_controls(self._card, canvases),
            width=canvases[0].width,
            height=canvases[0].height,
            num_inference_steps=self._config.num_inference_steps,
            guidance_scale=float(self._config.guidance_scale),
            controlnet_conditioning_scale=float(self._config.controlnet_conditioning_scale),
            # On the CPU whatever the device is, so that every machine draws the same noise.
            generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            output_type="pt",
        )
        for request, image in zip(requests, output.images, strict=True):
            yield GeneratedSample(
                request=request,
                image=to_layout_size(image, request.layout, self._config.render_scale),
                annotations=request.layout.annotations,
            )


def load_model(
    config: PipelineConfig, model_dir: Path, *, class_names: Sequence[str]
) -> tuple[GeneratorCard, Any]:
    """Return the card in `model_dir` and its text-to-image pipeline, on its device.

    Args:
        config: Sampler and device.
        model_dir: The folder of stage `fit`.
        class_names: Of the data set, which must be those of the model.

    Raises:
        GenerationError: If the model can't be loaded, or has other classes.
    """
    card = read_card(model_dir)
    if card.class_names != tuple(class_names):
        raise GenerationError(
            f"the model in {model_dir} was fitted for classes {list(card.class_names)}, the data "
            f"set has {list(class_names)}; run fit again"
        )
    return card, _load_pipeline(card, model_dir, choose_hardware(config.device), config.scheduler)


def _load_pipeline(card: GeneratorCard, model_dir: Path, hardware: Hardware, scheduler: str) -> Any:  # noqa: ANN401
    """Return the pipeline on its device. Pickled weights are refused: they can run code."""
    # On a CPU float32 always: bfloat16 would make an image depend on the batch size.
    dtype = hardware.dtype if hardware.device.type == "cuda" else torch.float32
    options = {"dtype": dtype, "use_safetensors": True}
    try:
        with _quiet_diffusers():
            pipeline = (_load_embedded if card.kind == "embedded" else _load_pretrained)(
                card, model_dir, options
            )
    except (OSError, ValueError) as error:
        raise GenerationError(
            f"the pipeline {card.pipeline!r} can't be loaded; it must be a folder or hub id in "
            f"diffusers' format with safetensors weights: {error}"
        ) from error
    if scheduler != "own":
        sampler = getattr(diffusers, _SCHEDULERS[scheduler])
        pipeline.scheduler = sampler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae, pipeline.controlnet):
        part.to(memory_format=torch.channels_last)
    return pipeline.to(hardware.device)


def _load_embedded(card: GeneratorCard, model_dir: Path, options: dict[str, Any]) -> Any:  # noqa: ANN401
    return _LayoutGuidedPipeline.from_pretrained(
        model_dir / card.pipeline, local_files_only=True, **options
    )


def _load_pretrained(card: GeneratorCard, _: Path, options: dict[str, Any]) -> Any:  # noqa: ANN401
    controlnet = diffusers.ControlNetModel.from_pretrained(
        card.controlnet, revision=card.controlnet_revision, **options
    )
    # Picks the pipeline's own class: Stable Diffusion, XL, Flux with a ControlNet.
    return diffusers.AutoPipelineForText2Image.from_pretrained(
        card.pipeline, controlnet=controlnet, revision=card.revision, **options
    )


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Hide bars and remarks about `AutoencoderTiny`, which the pipeline doesn't expect."""
    verbosity = diffusers.logging.get_verbosity()
    with_bars = [log for log in _LIBRARY_LOGS if log.is_progress_bar_enabled()]
    diffusers.logging.set_verbosity_error()
    for log in with_bars:
        log.disable_progress_bar()
    try:
        yield
    finally:
        diffusers.logging.set_verbosity(verbosity)
        for log in with_bars:
            log.enable_progress_bar()


def draw_controls(card: GeneratorCard, canvases: Sequence[Layout]) -> torch.Tensor:
    """Return the control images of layouts of one size, `(N, C, H, W)` float32 in [0, 1]."""
    draw = control_map if card.control == "class_maps" else control_picture
    return torch.from_numpy(np.stack([draw(canvas, len(card.class_names)) for canvas in canvases]))


def make_canvas(layout: Layout, render_scale: float) -> Layout:
    """Return the layout enlarged, on a canvas grown to the size that pipelines take."""
    size = [
        math.ceil(side * render_scale / _SIZE_MULTIPLE) * _SIZE_MULTIPLE
        for side in (layout.width, layout.height)
    ]
    xyxy = boxes.scale(layout.annotations.xyxy, factor_x=render_scale, factor_y=render_scale)
    annotations = Annotations(xyxy=xyxy, class_id=layout.annotations.class_id)
    return replace(layout, width=size[0], height=size[1], annotations=annotations)


def to_layout_size(image: torch.Tensor, layout: Layout, render_scale: float) -> UInt8Array:
    """Return the `(3, H, W)` float image in [0, 1] cut and shrunk, as uint8 RGB."""
    width, height = round(layout.width * render_scale), round(layout.height * render_scale)
    cut = image[:, :height, :width].float().cpu()
    if render_scale != 1:
        cut = torch.nn.functional.interpolate(
            cut[None], size=(layout.height, layout.width), mode="bilinear", antialias=True
        )[0]
    pixels: UInt8Array = (cut * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return pixels
