from pathlib import Path

import numpy as np
from PIL import Image

from synthdata.generators.real_images import read_pixels


def test_an_image_is_read_once_and_again_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 6), (1, 2, 3)).save(path)
    first = read_pixels(path)
    assert read_pixels(path) is first

    Image.new("L", (4, 3), 200).save(tmp_path / "b.png")
    (tmp_path / "b.png").replace(path)

    assert np.array_equal(read_pixels(path), np.full((3, 4, 3), 200))
