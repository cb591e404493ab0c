import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.generators import real_images
from synthdata.generators.real_images import read_pixels


def test_an_image_is_read_once_and_again_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 6), (1, 2, 3)).save(path)
    first = read_pixels(path)
    assert read_pixels(path) is first

    Image.new("L", (4, 3), 200).save(tmp_path / "b.png")
    (tmp_path / "b.png").replace(path)

    assert np.array_equal(read_pixels(path), np.full((3, 4, 3), 200))


@pytest.fixture
def forced_switches() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("forced_switches")
def test_threads_share_a_full_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(60)]
    for index, path in enumerate(paths):
        Image.new("RGB", (8, 6), (index, 0, 0)).save(path)
    cache = real_images._read.cache
    real_images._read.cache_clear()
    monkeypatch.setattr(cache, "_Cache__maxsize", 20 * 8 * 6 * 3)  # so that images are dropped

    def read_many(seed: int) -> bool:
        drawn = np.random.default_rng(seed).integers(len(paths), size=3000).tolist()
        return all(read_pixels(paths[index])[0, 0, 0] == index for index in drawn)

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(read_many, range(4)))
    assert 0 < cache.currsize <= cache.maxsize
