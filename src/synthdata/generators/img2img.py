"""Image generator: a new appearance for a real train image, labelled as that is.

SDEdit (Meng et al. 2022): the real image is noised in part and denoised again, while a
ControlNet holds its objects in place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from synthdata.config.generator import ImageToImageConfig
from synthdata.generators.repaint import Repainter, draw_scene
from synthdata.samples import DetectionDataset, GeneratedSample, GenerationRequest


class ImageToImageGenerator:
    """Repaints whole train images.

    A request's layout isn't followed: its seed chooses a train image, whose own annotations
    are control image, prompt and label.

    Args:
        config: How much is changed, and how to sample.
        model_dir: The folder of stage `fit`.
        train: The real train split.

    Raises:
        GenerationError: If the model can't be loaded or has other classes, or there is no
            train image.
    """

    def __init__(
        self, config: ImageToImageConfig, model_dir: Path, train: DetectionDataset
    ) -> None:
        self._train = train
        self._repainter = Repainter("img2img", config, model_dir, train)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order; see `ImageGenerator`.

        The layout's id in the yielded request is the train image's.
        """
        scenes = (
            draw_scene(request, self._train, np.random.default_rng(request.seed))
            for request in requests
        )
        return self._repainter.paint(scenes)
