import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from synthdata.datasets.digits import make_scene
from synthdata.datasets.duplicates import ALIKE, SAME, difference, fingerprint, similar_pairs

Change = Callable[[Image.Image], Image.Image]


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


CHANGES: dict[str, Change] = {
    "saved with loss": lambda image: as_jpeg(image, 30),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.08),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
}


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [Image.fromarray(make_scene("train", index).image) for index in range(40)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_the_same_image(scenes: list[Image.Image], change: Change) -> None:
    prints = [fingerprint(image) for image in [*scenes, *map(change, scenes)]]
    found = [(first, second) for first, second, gap in similar_pairs(prints) if gap <= SAME]
    assert found == [(index, index + len(scenes)) for index in range(len(scenes))]


def test_a_crop_is_alike(scenes: list[Image.Image]) -> None:
    crops = [image.crop((2, 2, 126, 94)) for image in scenes]
    pairs = list(similar_pairs([fingerprint(image) for image in [*scenes, *crops]]))
    assert len(pairs) > 0.8 * len(scenes)
    assert all(second - first == len(scenes) for first, second, _ in pairs)


def test_only_pairs_of_different_groups(scenes: list[Image.Image]) -> None:
    prints = [fingerprint(scenes[0])] * 3
    assert [pair[:2] for pair in similar_pairs(prints)] == [(0, 1), (0, 2), (1, 2)]
    assert [pair[:2] for pair in similar_pairs(prints, ["a", "a", "b"])] == [(0, 2), (1, 2)]


def test_blank_images_are_all_the_same() -> None:
    prints = [fingerprint(Image.new("RGB", (9, 7), colour)) for colour in ("black", "white")]
    assert difference(*prints) == 0


def test_fields_of_one_microscope_differ(mirror: Path) -> None:
    files = sorted((mirror / "bccd" / "JPEGImages").glob("*.jpg"))[:120:2]
    prints = [fingerprint(Image.open(file)) for file in files]
    gaps = [difference(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(gaps) > 1.5 * ALIKE
    copies = [fingerprint(as_jpeg(Image.open(file), 30)) for file in files[:10]]
    assert np.max([difference(a, b) for a, b in zip(prints, copies, strict=False)]) < SAME / 2
