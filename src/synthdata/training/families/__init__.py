"""The families of pretrained pipelines that can be trained and used: SD, SDXL and Flux."""

from synthdata.errors import ConfigError
from synthdata.training.families.base import Family, Tensors, Trainee, encode_images
from synthdata.training.families.flux import Flux
from synthdata.training.families.sd import StableDiffusion
from synthdata.training.families.sdxl import StableDiffusionXL

__all__ = ["Family", "Tensors", "Trainee", "encode_images", "family_of"]

_FAMILIES: dict[str, type[StableDiffusion] | type[Flux]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionControlNetPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusionXLControlNetPipeline": StableDiffusionXL,
    "FluxPipeline": Flux,
    "FluxControlNetPipeline": Flux,
}


def family_of(pipeline_class: str) -> Family:
    """Return the family of a pipeline, named as in its `model_index.json`.

    Raises:
        ConfigError: If it is of none.
    """
    if pipeline_class not in _FAMILIES:
        raise ConfigError(
            f"the base is a {pipeline_class}; expected one of {', '.join(_FAMILIES)}; name a base "
            "of Stable Diffusion 1 or 2, SDXL or Flux in fit.model.model"
        )
    return _FAMILIES[pipeline_class]()
