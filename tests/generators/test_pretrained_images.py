from pathlib import Path

import numpy as np
import pytest

from generators.test_controlnet import images, requests
from generators.test_guidance import fit_base, pytestmark
from training.tiny_bases import BASES

__all__ = ["pytestmark"]


@pytest.mark.parametrize("name", list(BASES))
def test_an_image_of_a_pretrained_base_does_not_depend_on_others(tmp_path: Path, name: str) -> None:
    fitted, todo = fit_base(name, tmp_path), requests(3)
    options = {"scheduler": "own", "num_inference_steps": 2, "mixed_precision": "no"}

    alone = images(fitted, todo[2:], batch_size=1, **options)[0].astype(int)
    among = images(fitted, todo, batch_size=3, **options)[2].astype(int)

    assert np.abs(alone - among).max() <= 1
