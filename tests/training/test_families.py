import pytest
from diffusers import ControlNetModel

from synthdata.errors import ConfigError
from synthdata.training.families.sd import StableDiffusion
from training.tiny_bases import unet


def test_a_controlnet_that_takes_no_picture_is_refused() -> None:
    controlnet = ControlNetModel.from_unet(unet(16), conditioning_channels=4)

    with pytest.raises(ConfigError, match="takes an RGB picture was expected, this one takes 4"):
        StableDiffusion().check_controlnet(controlnet)


def test_a_controlnet_that_forgets_places_is_refused() -> None:
    """As the one that shuffles what it sees."""
    controlnet = ControlNetModel.from_unet(unet(16))
    StableDiffusion().check_controlnet(controlnet)
    controlnet.register_to_config(global_pool_conditions=True)

    with pytest.raises(ConfigError, match="this one pools what it sees over the whole picture"):
        StableDiffusion().check_controlnet(controlnet)
