"""Paints real images anew with a ControlNet pipeline, in batches.

Inpainting masks the latents of a model that wasn't trained to inpaint: after each step those
outside of the mask are replaced by the real image's, noised as much (Lugmayr et al. 2022,
"RePaint: Inpainting using Denoising Diffusion Probabilistic Models", without its resampling).
diffusers' inpainting pipelines do that; what they return is blended with the real pixels.
A strength of 0 runs no denoising step: the image is what the autoencoder keeps of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it

from synthdata.boxes import FloatArray
from synthdata.conditioning import prompt_for
from synthdata.config.generator import RepaintConfig
from synthdata.errors import GenerationError
from synthdata.generators.controlnet import draw_controls, make_canvas, to_layout_size
from synthdata.generators.detail import Detail, blend_coarse
from synthdata.generators.guidance import limit_guidance, rescale_guidance
from synthdata.generators.model import load_model
from synthdata.generators.opacity import blend
from synthdata.generators.real_images import read_pixels
from synthdata.generators.tasks import Task, autoencode, pipeline_for
from synthdata.samples import (
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
    UInt8Array,
)


@dataclass(frozen=True)
class Scene:
    """An image to start from, and what it is to show.

    Attributes:
        request: What the image is for; its seed is that of the noise.
        pixels: `(H, W, 3)` uint8 RGB.
        layout: What to show, on a canvas of the image's size.
        opacity: `(H, W)` in [0, 1], see `opacity`; None repaints everything.
        detail: Where the image keeps its detail; None keeps none.
    """

    request: GenerationRequest
    pixels: UInt8Array
    layout: Layout
    opacity: FloatArray | None = None
    detail: Detail | None = None


def draw_scene(
    request: GenerationRequest, train: DetectionDataset, rng: np.random.Generator
) -> Scene:
    """Return a train image drawn by `rng`, to be shown as it is annotated."""
    sample = train.samples[int(rng.integers(len(train)))]
    pixels = read_pixels(train.image_path(sample))
    height, width = pixels.shape[:2]
    return Scene(request, pixels, Layout(sample.sample_id, width, height, sample.annotations))


class Repainter:
    """A ControlNet pipeline that starts from images.

    Args:
        task: `img2img` paints all of a scene; `inpaint` what its opacity leaves open.
        config: How to sample.
        model_dir: The folder of stage `fit`.
        images: What scenes start from, the real train split or a pool; it names the classes.

    Raises:
        GenerationError: If the model can't be loaded, has other classes or can't do the task,
            limited or rescaled guidance doesn't suit it, or there is no train image to start from.
    """

    def __init__(
        self, task: Task, config: RepaintConfig, model_dir: Path, images: DetectionDataset
    ) -> None:
        if not len(images):
            raise GenerationError(
                f"{task} starts from real train images, there is none; check prepare"
            )
        self._task, self._config = task, config
        self._model = load_model(config, model_dir, class_names=images.class_names)
        self._pipeline = pipeline_for(
            task, self._model.pipeline, embedded=self._model.card.kind == "embedded"
        )
        limit_guidance(config.guidance_start, config.guidance_end, self._pipeline)
        rescale_guidance(config.guidance_rescale, self._pipeline)

    def paint(self, scenes: Iterable[Scene]) -> Iterator[GeneratedSample]:
        """Yield an image a scene, in order, labelled with what it was to show.

        Its request has the layout and the prompt that were shown.
        """
        yield from self._model.in_batches(
            list(scenes),
            self._paint_batch if self._config.strength else self._copy_batch,
            size_of=lambda scene: scene.pixels.shape,
        )

    def _paint_batch(self, scenes: list[Scene]) -> Iterator[GeneratedSample]:
        card, family, scale = self._model.card, self._model.family, self._config.render_scale
        canvases = [make_canvas(scene.layout, scale, family.size_multiple) for scene in scenes]
        # Whatever text-to-image calls it, these pipelines call it `control_image`.
        (control,) = family.control_argument(draw_controls(card, canvases)).values()
        masks = {}
        if self._task == "inpaint":
            touched = np.stack([np.asarray(scene.opacity) > 0 for scene in scenes])
            masks["mask_image"] = _to_cells(
                _to_canvas(torch.from_numpy(touched[:, None]).float(), canvases[0], scale),
                self._pipeline.vae_scale_factor,
            )
        prompts = [
            prompt_for(scene.layout, card.class_names, card.prompt_template) for scene in scenes
        ]
        output = self._pipeline(
            prompt=prompts,
            image=_to_canvas(_stack(scenes), canvases[0], scale),
            control_image=control,
            width=canvases[0].width,
            height=canvases[0].height,
            strength=float(self._config.strength),
            num_inference_steps=self._config.num_inference_steps,
            guidance_scale=float(self._config.guidance_scale),
            controlnet_conditioning_scale=float(self._config.controlnet_conditioning_scale),
            # On the CPU whatever the device is, so that every machine draws the same noise.
            generator=[torch.Generator("cpu").manual_seed(scene.request.seed) for scene in scenes],
            output_type="pt",
            **masks,
        )
        for scene, prompt, image in zip(scenes, prompts, output.images, strict=True):
            yield self._finish(scene, image, prompt)

    def _copy_batch(self, scenes: list[Scene]) -> Iterator[GeneratedSample]:
        scale, multiple = self._config.render_scale, self._model.family.size_multiple
        canvas = make_canvas(scenes[0].layout, scale, multiple)
        copies = autoencode(self._pipeline.vae, _to_canvas(_stack(scenes), canvas, scale))
        for scene, image in zip(scenes, copies, strict=True):
            yield self._finish(scene, image, prompt="")

    def _finish(self, scene: Scene, image: torch.Tensor, prompt: str) -> GeneratedSample:
        """Return the `(3, H, W)` image at the scene's size, over the scene's own pixels."""
        shown = replace(scene.request, layout=scene.layout, prompt=prompt)
        pixels = self._model.finish(
            to_layout_size(image, scene.layout, self._config.render_scale),
            seed=scene.request.seed,
        )
        if scene.opacity is None:
            return GeneratedSample(shown, pixels, scene.layout.annotations)
        if scene.detail is None:
            pixels = blend(scene.pixels, pixels, scene.opacity)
        else:
            pixels = blend_coarse(scene.pixels, pixels, scene.opacity, scene.detail)
        return GeneratedSample(shown, pixels, scene.layout.annotations, origin="composited")


def _stack(scenes: list[Scene]) -> torch.Tensor:
    """Return the scenes' pixels, `(N, 3, H, W)` in [0, 1]."""
    pixels = np.stack([scene.pixels for scene in scenes]).astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _to_canvas(images: torch.Tensor, canvas: Layout, render_scale: float) -> torch.Tensor:
    """Return `(N, C, H, W)` images enlarged, their edges repeated up to the canvas's size."""
    if render_scale != 1:
        size = [round(side * render_scale) for side in images.shape[-2:]]
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True).clamp(0, 1)
    height, width = images.shape[-2:]
    return F.pad(images, (0, canvas.width - width, 0, canvas.height - height), mode="replicate")


def _to_cells(touched: torch.Tensor, cell: int) -> torch.Tensor:
    """Return a mask that has every cell of `cell` by `cell` pixels with a touched one in it.

    The pipelines look at one pixel a latent only.
    """
    cells = F.max_pool2d((touched > 0).float(), cell)
    return F.interpolate(cells, scale_factor=cell, mode="nearest")
