"""Image generator: a diffusers ControlNet pipeline, the one that `fit` made or named."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from synthdata import boxes
from synthdata.conditioning import control_map, control_picture
from synthdata.config.generator import ControlNetConfig
from synthdata.generators.guidance import limit_guidance, rescale_guidance
from synthdata.generators.model import load_model
from synthdata.samples import Annotations, GeneratedSample, GenerationRequest, Layout, UInt8Array
from synthdata.training.card import GeneratorCard


class ControlNetGenerator:
    """Makes images with a ControlNet pipeline.

    Args:
        config: Steps, guidance and sampler.
        model_dir: The folder of stage `fit`.
        class_names: Of the data set, which must be those of the model.

    Raises:
        GenerationError: If the model can't be loaded or has other classes, or the sampler
            or limited or rescaled guidance doesn't suit it.
    """

    def __init__(
        self, config: ControlNetConfig, model_dir: Path, *, class_names: Sequence[str]
    ) -> None:
        self._config = config
        self._model = load_model(config, model_dir, class_names=class_names)
        limit_guidance(config.guidance_start, config.guidance_end, self._model.pipeline)
        rescale_guidance(config.guidance_rescale, self._model.pipeline)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order; see `ImageGenerator`."""
        yield from self._model.in_batches(
            requests, self._generate_batch, size_of=lambda r: (r.layout.width, r.layout.height)
        )

    def _generate_batch(self, requests: list[GenerationRequest]) -> Iterator[GeneratedSample]:
        model = self._model
        canvases = [
            make_canvas(request.layout, self._config.render_scale, model.family.size_multiple)
            for request in requests
        ]
        output = model.pipeline(
            prompt=[request.prompt for request in requests],
            **model.family.control_argument(draw_controls(model.card, canvases)),
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
                image=model.finish(
                    to_layout_size(image, request.layout, self._config.render_scale),
                    seed=request.seed,
                ),
                annotations=request.layout.annotations,
            )


def draw_controls(card: GeneratorCard, canvases: Sequence[Layout]) -> torch.Tensor:
    """Return the control images of layouts of one size, `(N, C, H, W)` float32 in [0, 1]."""
    draw = control_map if card.control == "class_maps" else control_picture
    return torch.from_numpy(np.stack([draw(canvas, len(card.class_names)) for canvas in canvases]))


def make_canvas(layout: Layout, render_scale: float, multiple: int) -> Layout:
    """Return the layout enlarged, on a canvas grown to the size that the pipeline takes."""
    size = [
        math.ceil(side * render_scale / multiple) * multiple
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
