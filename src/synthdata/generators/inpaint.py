"""Image generator: repaints a part of a real train image; the rest keeps its real pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from synthdata.config.generator import InpaintConfig
from synthdata.errors import GenerationError
from synthdata.generators.detail import Detail
from synthdata.generators.donors import MIN_SIDE_PX, Donor, draw_objects, find_donors
from synthdata.generators.opacity import background_opacity, object_opacity
from synthdata.generators.placement import place_in_turn, place_objects
from synthdata.generators.repaint import Repainter, Scene, draw_scene
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
)

_NUM_DRAWS: Final = 10  # of train images, where some have no room
_NUM_OBJECT_DRAWS: Final = 30  # of objects, where some find no room


class InpaintGenerator:
    """Paints new objects into train images, or a new background around their objects.

    A request's seed chooses a train image. In mode `object` the request's layout gives the
    new objects' classes and sizes, not their places: those are drawn where the image has
    room. With `balance` classes and sizes are those of train objects instead, and the layout
    isn't used; in mode `background` it never is.

    Args:
        config: What is repainted, and how to sample.
        model_dir: The folder of stage `fit`.
        train: The real train split.

    Raises:
        GenerationError: If the model can't be loaded, has other classes or can't be masked, or
            there is no train image, or for `balance` no object in one.
    """

    def __init__(self, config: InpaintConfig, model_dir: Path, train: DetectionDataset) -> None:
        self._config = config
        self._train = train
        self._donors: dict[int, list[Donor]] = {}
        if config.mode == "object" and config.balance is not None:
            self._donors = find_donors(train)
            if not self._donors:
                raise GenerationError(
                    "inpainting with a balance takes classes and sizes of train objects, the "
                    f"{len(train)} train images have none of at least {MIN_SIDE_PX} px a side; "
                    "check the annotations, or leave the generator's balance out"
                )
        self._repainter = Repainter("inpaint", config, model_dir, train)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order; see `ImageGenerator`.

        An image has the size of the real one under it. Its annotations are the real ones and,
        after them, the new ones. The layout's id in the yielded request is the train image's,
        in mode `object` with `+` and the id of the layout that the new objects are from, if they
        are from one.
        """
        plan = self._with_objects if self._config.mode == "object" else self._with_background
        return self._repainter.paint(map(plan, requests))

    def _with_objects(self, request: GenerationRequest) -> Scene:
        rng = np.random.default_rng(request.seed)
        low, high = self._config.num_objects
        num_objects = int(rng.integers(low, high + 1))
        if self._config.balance is None:
            num_objects = min(num_objects, len(request.layout.annotations))
        for _ in range(_NUM_DRAWS):
            scene = draw_scene(request, self._train, rng)
            new = self._new_objects(request.layout, scene.layout, num_objects, rng)
            if len(new) or not num_objects:
                break
        real = scene.layout.annotations
        both = Annotations(
            np.vstack([real.xyxy, new.xyxy]), np.concatenate([real.class_id, new.class_id])
        )
        layout_id = scene.layout.layout_id
        if self._config.balance is None:
            layout_id += f"+{request.layout.layout_id}"
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

    def _new_objects(
        self, layout: Layout, onto: Layout, num_objects: int, rng: np.random.Generator
    ) -> Annotations:
        overlap, balance = self._config.max_overlap, self._config.balance
        if balance is None:
            return place_objects(
                layout, onto, num_objects=num_objects, max_overlap=overlap, rng=rng
            )
        drawn = islice(draw_objects(self._donors, balance, rng), _NUM_OBJECT_DRAWS)
        return place_in_turn(drawn, onto, num_objects=num_objects, max_overlap=overlap, rng=rng)

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
