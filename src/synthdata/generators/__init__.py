"""Image generators behind one Protocol; the config's union is the registry."""

from pathlib import Path
from typing import assert_never

from synthdata.config.generate import (
    ControlNetConfig,
    CopyPasteConfig,
    GeneratorConfig,
    ImageToImageConfig,
    InpaintConfig,
)
from synthdata.config.paste import PasteConfig
from synthdata.generators.base import ImageGenerator
from synthdata.samples import DetectionDataset

__all__ = ["ImageGenerator", "build_generator"]


def build_generator(
    config: GeneratorConfig, *, model_dir: Path, dataset: DetectionDataset
) -> ImageGenerator:
    """Return the image generator that a config describes.

    Args:
        config: Its kind decides; each kind's libraries are loaded only when it is built.
        model_dir: The folder of stage `fit`, for generators with a model.
        dataset: The real train split, for generators that use its pixels.

    Raises:
        GenerationError: If the model is missing or doesn't suit the data set.
    """
    match config:
        case ControlNetConfig():
            from synthdata.generators.controlnet import ControlNetGenerator

            return ControlNetGenerator(config, model_dir, class_names=dataset.class_names)
        case ImageToImageConfig():
            from synthdata.generators.img2img import ImageToImageGenerator

            return ImageToImageGenerator(config, model_dir, dataset)
        case InpaintConfig():
            from synthdata.generators.inpaint import InpaintGenerator

            return InpaintGenerator(config, model_dir, dataset)
        case CopyPasteConfig():
            from synthdata.generators.paste import PasteGenerator

            paste = PasteConfig(kind="paste", **config.model_dump(exclude={"kind"}))
            return PasteGenerator(paste, donors=dataset, canvases=dataset)
        case _:
            assert_never(config)
