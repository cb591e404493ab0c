"""Repaints another pool's images a little, and gives its objects their pixels back by size."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from synthdata import boxes
from synthdata.boxes import FloatArray
from synthdata.config.composite import CompositeConfig
from synthdata.errors import GenerationError
from synthdata.generators.detail import Detail
from synthdata.generators.opacity import background_opacity, cover
from synthdata.generators.real_images import read_pixels
from synthdata.generators.repaint import Repainter, Scene
from synthdata.samples import DetectionDataset, GeneratedSample, GenerationRequest

# How far the model's detail reaches beyond a box, as a fraction of its size: the seam of a pasted
# object lies there.
_RING: Final = 0.25


class CompositeGenerator:
    """Repaints images under their own labels; see `CompositeConfig`.

    Args:
        config: How far, and what keeps its pixels.
        model_dir: The folder of stage `fit`.
        below: The images that are repainted. A request names its image by the layout's id.
        train: The real train split, whose boxes say what is small.

    Raises:
        GenerationError: If the model can't be loaded or has other classes, or there is no image
            to repaint, or no train object to measure others by.
    """

    def __init__(
        self,
        config: CompositeConfig,
        model_dir: Path,
        *,
        below: DetectionDataset,
        train: DetectionDataset,
    ) -> None:
        if not len(below):
            raise GenerationError(
                f"repainting needs at least one image to start from, {config.onto!r} has none"
            )
        self._config = config
        self._below = below
        self._samples = {sample.sample_id: sample for sample in below}
        self._limits = None
        if config.keep_objects is not None:
            areas = np.concatenate([boxes.area(sample.annotations.xyxy) for sample in train])
            if not len(areas):
                raise GenerationError(
                    "keep_objects measures objects by the train split's, which has none; check the "
                    "annotations, or set the pool's keep_objects to null"
                )
            self._limits = np.percentile(areas, config.keep_objects)
        self._repainter = Repainter("img2img", config, model_dir, below)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order, of the size and with the labels of the one below."""
        return self._repainter.paint(map(self._plan, requests))

    def _plan(self, request: GenerationRequest) -> Scene:
        pixels = read_pixels(self._below.image_path(self._samples[request.layout.layout_id]))
        size_hw = pixels.shape[0], pixels.shape[1]
        xyxy = request.layout.annotations.xyxy
        detail = None
        if self._config.keep_detail:
            far = background_opacity(
                xyxy, size_hw=size_hw, margin=_RING, feather=self._config.feather
            )
            detail = Detail(far, sigma=self._config.keep_detail * size_hw[1])
        return Scene(request, pixels, request.layout, 1 - self._kept(xyxy, size_hw), detail)

    def _kept(self, xyxy: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
        """Return the share of each pixel that stays as it is, `(H, W)` in [0, 1]."""
        if self._limits is None:
            return np.zeros(size_hw, np.float32)
        config = self._config
        shares = np.interp(boxes.area(xyxy), self._limits, [1, config.keep_least])
        return cover(
            xyxy,
            shares.astype(np.float32),
            size_hw=size_hw,
            feather=config.feather,
            shape=config.mask,
        )
