"""Image generator: repaints a part of a real train image; the rest keeps its real pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from synthdata.config.generator import InpaintConfig
from synthdata.generators.detail import Detail
from synthdata.generators.opacity import background_opacity, object_opacity
from synthdata.generators.placement import place_objects
from synthdata.generators.repaint import Repainter, Scene, draw_scene
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
)

_NUM_DRAWS: Final = 10  # of train images, where some have no room


class InpaintGenerator:
    """Paints new objects into train images, or a new background around their objects.

    A request's seed chooses a train image. In mode `object` the request's layout gives the
    new objects' classes and sizes, not their places: those are drawn where the image has
    room. In mode `background` the layout isn't used.

    Args:
        config: What is repainted, and how to sample.
        model_dir: The folder of stage `fit`.
        train: The real train split.

    Raises:
        GenerationError: If the model can't be loaded, has other classes or can't be masked, or
            there is no train image.
    """

    def __init__(self, config: InpaintConfig, model_dir: Path, train: DetectionDataset) -> None:
        self._config = config
        self._train = train
        self._repainter = Repainter("inpaint", config, model_dir, train)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order; see `ImageGenerator`.

        An image has the size of the real one under it. Its annotations are the real ones and,
        after them, the new ones. The layout's id in the yielded request is the train image's,
        in mode `object` with `+` and the id of the layout that the new objects are from.
        """
        plan = self._with_objects if self._config.mode == "object" else self._with_background
        return self._repainter.paint(map(plan, requests))

    def _with_objects(self, request: GenerationRequest) -> Scene:
        rng = np.random.default_rng(request.seed)
        low, high = self._config.num_objects
        num_objects = min(int(rng.integers(low, high + 1)), len(request.layout.annotations))
        for _ in range(_NUM_DRAWS):
            scene = draw_scene(request, self._train, rng)
            new = place_objects(
                request.layout,
                scene.layout,
                num_objects=num_objects,
                max_overlap=self._config.max_overlap,
                rng=rng,
            )
            if len(new) or not num_objects:
                break
        real = scene.layout.annotations
        both = Annotations(
            np.vstack([real.xyxy, new.xyxy]), np.concatenate([real.class_id, new.class_id])
        )
        layout_id = f"{scene.layout.layout_id}+{request.layout.layout_id}"
        opacity = object_opacity(
            new.xyxy,
            real.xyxy,
            size_hw=scene.pixels.shape[:2],
            margin=self._config.margin,
            feather=self._config.feather,
            shape=self._config.shape,
        )
        layout = replace(scene.layout, layout_id=layout_id, annotations=both)
        return replace(scene, layout=layout, opacity=opacity)

    def _with_background(self, request: GenerationRequest) -> Scene:
        scene = draw_scene(request, self._train, np.random.default_rng(request.seed))
        opacity = background_opacity(
            scene.layout.annotations.xyxy,
            size_hw=scene.pixels.shape[:2],
            margin=self._config.margin,
            feather=self._config.feather,
            shape=self._config.shape,
        )
        detail = None
        if self._config.keep_detail:
            sigma = self._config.keep_detail * opacity.shape[1]
            detail = Detail(np.ones_like(opacity), sigma)
        return replace(scene, opacity=opacity, detail=detail)
