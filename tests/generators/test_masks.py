import sys

import cv2
import numpy as np
import pytest

from synthdata.errors import ConfigError
from synthdata.generators.grabcut import grabcut_mask
from synthdata.generators.masks import soft_mask, soften
from synthdata.samples import UInt8Array

BOX = np.array([30, 20, 70, 60], np.float32)
NONE = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize(
    ("shape", "corner", "share"), [("ellipse", 0.0, np.pi / 4), ("box", 1.0, 1.0)]
)
def test_mask_is_opaque_on_the_object(shape: str, corner: float, share: float) -> None:
    inner = np.array([10, 5, 70, 45], np.float32)
    hard = soft_mask((50, 80), inner, shape=shape, feather=0.0)  # type: ignore[arg-type]
    assert hard[5, 10] == corner
    assert hard[25, 40] == 1
    assert hard.sum() == pytest.approx(share * 60 * 40, rel=0.02)
    soft = soft_mask((50, 80), inner, shape=shape, feather=0.2)  # type: ignore[arg-type]
    assert ((soft > 0) & (soft < 1)).any()
    assert (soft >= hard).all()
    assert soft[25, 0] == 0


def test_a_softened_mask_falls_over_the_same_border_as_an_ellipse() -> None:
    inner = np.array([20, 20, 60, 60], np.float32)
    ellipse = soft_mask((80, 80), inner, shape="ellipse", feather=0.0) > 0
    wanted = soft_mask((80, 80), inner, shape="ellipse", feather=0.3)
    assert np.abs(soften(ellipse, inner, feather=0.3) - wanted).max() < 0.2
    assert np.array_equal(soften(ellipse, inner, feather=0.0) > 0, ellipse)
    assert not soften(np.zeros((9, 9), np.bool_), inner, feather=0.3).any()


def noisy(true: np.ndarray, seed: int = 0) -> UInt8Array:
    """A brown object on a bright background, both with grain."""
    pixels = np.where(true[..., None], (150, 90, 60), (200, 205, 190))
    noise = np.random.default_rng(seed).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def diamond(centre: tuple[int, int] = (50, 40), half: int = 20) -> np.ndarray:
    y, x = np.mgrid[:80, :100] + 0.5
    return np.abs(x - centre[0]) + np.abs(y - centre[1]) <= half


def iou(mask: np.ndarray, true: np.ndarray) -> float:
    return float((mask & true).sum() / (mask | true).sum())


def test_grabcut_finds_the_object_in_its_box() -> None:
    true = diamond()
    mask = grabcut_mask(noisy(true), BOX, NONE)
    assert mask is not None
    assert iou(mask, true) > 0.95
    ellipse = soft_mask((80, 100), BOX, shape="ellipse", feather=0) > 0
    assert iou(ellipse, true) < 0.7


def test_grabcut_fills_holes_and_drops_other_parts() -> None:
    true = diamond()
    seen = true & ~diamond(half=6)
    seen[20:23, 31:34] = True
    mask = grabcut_mask(noisy(seen), BOX, NONE)
    assert mask is not None
    assert iou(mask, true) > 0.95


def test_neighbours_that_look_alike_do_not_hide_an_object() -> None:
    true = diamond()
    others = [(18, 20), (82, 20), (18, 64), (82, 64), (50, 4)]
    pixels = noisy(np.logical_or.reduce([true, *(diamond(at, 18) for at in others)]))
    boxes = np.array([[x - 18, y - 18, x + 18, y + 18] for x, y in others], np.float32)
    mask = grabcut_mask(pixels, BOX, boxes)
    assert mask is not None
    assert iou(mask, true) > 0.9


def test_grabcut_is_the_same_whatever_opencv_drew_before() -> None:
    pixels = noisy(diamond(), seed=3)
    masks = []
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        cv2.randu(np.zeros((seed, 7)), 0, 1)
        masks.append(grabcut_mask(pixels, BOX, NONE))
    assert masks[0] is not None
    assert np.array_equal(masks[0], masks[1])


@pytest.mark.parametrize(
    ("true", "box", "others"),
    [
        pytest.param(np.zeros((80, 100), bool), [0, 0, 100, 80], NONE, id="no background"),
        pytest.param(diamond(), BOX, [[0, 0, 100, 80]], id="no background beside others"),
        pytest.param(diamond(half=60), BOX, NONE, id="the box is full"),
        pytest.param(diamond((40, 30), 6), BOX, NONE, id="something small in a corner"),
    ],
)
def test_what_is_no_object_gives_no_mask(true: np.ndarray, box: object, others: object) -> None:
    found = grabcut_mask(
        noisy(true), np.array(box, np.float32), np.array(others, np.float32).reshape(-1, 4)
    )
    assert found is None


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"mask: grabcut needs cv2: .*synthdata\[paste\]"):
        grabcut_mask(noisy(diamond()), BOX, NONE)
