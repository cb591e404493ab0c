from typing import Any

import numpy as np
import pytest

from generators.test_controlnet import Fitted, images, requests
from generators.test_guidance import fit_base
from generators.test_repaint import KINDS, MARGINS, difference, expected_opacity, paint, source_of
from generators.test_repaint import requests as small_objects
from synthdata.generators.real_images import read_pixels
from training.tiny_bases import BASES, pytestmark

__all__ = ["pytestmark"]

Base = tuple[str, Fitted]


@pytest.fixture(scope="module", params=list(BASES))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    return request.param, fit_base(request.param, tmp_path_factory.mktemp(request.param))


def test_an_image_of_a_pretrained_base_does_not_depend_on_others(base: Base) -> None:
    fitted, todo = base[1], requests(3)
    options = {"scheduler": "own", "num_inference_steps": 2, "mixed_precision": "no"}

    alone = images(fitted, todo[2:], batch_size=1, **options)[0].astype(int)
    among = images(fitted, todo, batch_size=3, **options)[2].astype(int)

    assert np.abs(alone - among).max() <= 1


def test_in_bf16_an_image_of_a_pretrained_base_does_not_depend_on_batch_size_or_order(
    base: Base,
) -> None:
    fitted, todo = base[1], requests(3)
    options = {"scheduler": "own", "num_inference_steps": 2, "mixed_precision": "bf16"}

    forward = images(fitted, todo, batch_size=3, **options)
    backward = images(fitted, todo[::-1], batch_size=2, **options)
    alone = images(fitted, todo[:1], batch_size=1, **options)

    assert all(map(np.array_equal, forward, backward[::-1]))
    assert np.array_equal(alone[0], forward[0])


@pytest.mark.parametrize("values", KINDS)
def test_a_pretrained_base_paints_real_images_and_keeps_what_is_protected(
    base: Base, values: dict[str, Any]
) -> None:
    name, fitted = base
    inpaints = values["kind"] == "inpaint"
    options = values | {"scheduler": "own", "num_inference_steps": 2, "strength": 1.0}
    options |= {"mixed_precision": "no"} | (MARGINS if inpaints else {})
    # Flux has no second branch to leave out.
    options |= {} if name == "flux" else {"guidance_scale": 4.0, "guidance_start": 0.5}

    for one in paint(fitted, small_objects(3), options):
        source = source_of(one, fitted[1])
        changed = difference(one.image, read_pixels(fitted[1].image_path(source))) > 0
        opacity = np.ones(changed.shape)
        if inpaints:
            opacity = expected_opacity(values["mode"], one, len(source.annotations))
        assert not changed[opacity == 0].any()
        assert changed[opacity == 1].mean() > 0.5
