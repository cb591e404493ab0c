"""What is painted meets what is kept: no edge, no patch of another sharpness."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import ndimage

from synthdata.boxes import FloatArray
from synthdata.config.generator import GeneratorConfig
from synthdata.generators import build_generator
from synthdata.generators.detail import Detail, blend_coarse
from synthdata.generators.opacity import background_opacity, blend, object_opacity
from synthdata.generators.real_images import read_pixels
from synthdata.samples import Annotations, DetectionDataset, GenerationRequest, Layout, UInt8Array

SIZE = (144, 192)
BOXES = np.array([[20, 20, 52, 50], [90, 30, 120, 62], [60, 90, 88, 120], [140, 85, 180, 120]])
KEPT = BOXES.astype(np.float32)
DEFAULT: dict[str, Any] = {"margin": 0.1, "feather": 0.15, "shape": "box"}
WIDE: dict[str, Any] = {"margin": 0.0, "feather": 0.6, "shape": "ellipse"}


def smear(seed: int = 0) -> UInt8Array:
    """Dark round cells on a bright background with grain."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    pixels = np.full((*SIZE, 3), (205.0, 190.0, 200.0))
    for x1, y1, x2, y2 in BOXES:
        radius = np.hypot((x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)) * 2
        pixels[radius < 1] = (170, 100, 120)
    pixels += np.random.default_rng(seed).normal(0, 4, (*SIZE, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def painted_over(real: UInt8Array) -> UInt8Array:
    """The same scene as a model shows it: without grain, and darker to the right."""
    tone = np.linspace(-4, -24, SIZE[1])[None, :, None]
    blurred = ndimage.gaussian_filter(real.astype(float), (1.5, 1.5, 0))
    return np.clip(blurred + tone, 0, 255).astype(np.uint8)


def seam(image: UInt8Array, opacity: FloatArray) -> float:
    """The mean gradient where the kept part ends, over that of the background far from it."""
    smooth = ndimage.gaussian_filter(image.astype(float), (1, 1, 0)).mean(axis=2)
    gradient = np.hypot(*np.gradient(smooth))
    box = background_opacity(KEPT, size_hw=SIZE, margin=0.1, feather=0.0)
    far = ndimage.binary_erosion(box > 0, iterations=14)
    border = (opacity > 0) & (opacity < 1) & (box > 0)
    return float(gradient[border].mean() / gradient[far].mean())


def test_a_background_that_keeps_its_detail_shows_no_rectangles() -> None:
    real = smear()
    painted = painted_over(real)
    hard = background_opacity(KEPT, size_hw=SIZE, **DEFAULT)
    soft = background_opacity(KEPT, size_hw=SIZE, **WIDE)
    detail = Detail(np.ones(SIZE, np.float32), sigma=0.05 * SIZE[1])

    before = seam(blend(real, painted, hard), hard)
    after = seam(blend_coarse(real, painted, soft, detail), soft)

    assert before > 10, "a step in brightness, and grain on one side only"
    assert seam(blend(real, painted, soft), soft) > 4, "a wide border alone isn't enough"
    assert seam(blend_coarse(real, painted, hard, detail), hard) > 4, "nor is the detail"
    assert after < 2
    assert seam(real, soft) == pytest.approx(1, abs=0.1)


def test_the_tone_is_the_painted_images_and_what_is_kept_stays() -> None:
    real = smear()
    painted = painted_over(real)
    opacity = background_opacity(KEPT, size_hw=SIZE, **WIDE)
    detail = Detail(np.ones(SIZE, np.float32), sigma=0.05 * SIZE[1])

    made = blend_coarse(real, painted, opacity, detail)

    np.testing.assert_array_equal(made[opacity == 0], real[opacity == 0])
    open_ = opacity == 1
    change = (made.astype(float) - real).mean(axis=2)
    expected = (painted.astype(float) - real).mean(axis=2)
    assert change[open_].mean() == pytest.approx(expected[open_].mean(), abs=0.5)
    assert change[:, :40][open_[:, :40]].mean() > change[:, -40:][open_[:, -40:]].mean() + 10
    assert change[open_].std() < 7 < expected[open_].std(), "the grain stays"


def test_a_constant_change_is_taken_whole_beside_what_is_kept() -> None:
    """What is kept doesn't thin the difference in its neighbourhood."""
    real = np.full((*SIZE, 3), 100, np.uint8)
    opacity = background_opacity(KEPT, size_hw=SIZE, margin=0.0, feather=0.0)
    detail = Detail(np.ones(SIZE, np.float32), sigma=10)

    made = blend_coarse(real, real + np.uint8(20), opacity, detail)

    assert set(np.unique(made[opacity == 1])) == {120}
    assert set(np.unique(made[opacity == 0])) == {100}


def test_where_no_detail_is_kept_it_is_a_plain_blend() -> None:
    real, painted = smear(), painted_over(smear(1))
    opacity = background_opacity(KEPT, size_hw=SIZE, **DEFAULT)
    nowhere = Detail(np.zeros(SIZE, np.float32), sigma=5)

    made = blend_coarse(real, painted, opacity, nowhere)

    assert np.abs(made.astype(int) - blend(real, painted, opacity)).max() <= 1


def test_an_ellipse_is_painted_without_the_corners_of_its_box() -> None:
    new, beside = KEPT[:1], np.array([[50, 20, 70, 40]], np.float32)
    opacity = object_opacity(new, beside, size_hw=SIZE, margin=0.0, feather=0.0, shape="ellipse")
    assert opacity[35, 36] == 1
    assert opacity[20, 20] == 0
    assert opacity.sum() == pytest.approx(np.pi / 4 * 32 * 30, rel=0.03)
    assert (opacity[20:40, 52:70] == 0).all()


@pytest.mark.parametrize("mode", ["object", "background"])
def test_inpainting_takes_these_settings(fitted: tuple[Path, DetectionDataset], mode: str) -> None:
    model_dir, train = fitted
    corner = np.random.default_rng(0).uniform(2, 30, (3, 2))
    wanted = Annotations(np.hstack([corner, corner + 9]), np.arange(3))
    request = GenerationRequest("image", Layout("layout", 64, 48, wanted), "", 3)

    def paint(**values: Any) -> tuple[np.ndarray, np.ndarray, FloatArray]:
        config: Any = TypeAdapter(GeneratorConfig).validate_python(
            {"kind": "inpaint", "mode": mode, "num_inference_steps": 2, "device": "cpu"} | values
        )
        (made,) = build_generator(config, model_dir=model_dir, dataset=train).generate([request])
        source = made.request.layout.layout_id.partition("+")[0]
        (sample,) = train.where(sample_id=source)
        real = read_pixels(train.image_path(sample))
        return made.image.astype(int), real.astype(int), made.annotations.xyxy

    made, real, xyxy = paint(shape="ellipse", margin=0.0, feather=0.3, keep_detail=0.1)

    plain, _, _ = paint(shape="ellipse", margin=0.0, feather=0.3)
    if mode == "background":
        opacity = background_opacity(
            xyxy, size_hw=(48, 64), margin=0.0, feather=0.3, shape="ellipse"
        )
        np.testing.assert_array_equal(made[opacity == 0], real[opacity == 0])
        fine, coarse, before = (np.diff(one, axis=1)[opacity[:, 1:] == 1].ravel()
                                for one in (made, plain, real))  # fmt: skip
        assert np.corrcoef(fine, before)[0, 1] > 0.9 > 0.5 > np.corrcoef(coarse, before)[0, 1]
    else:
        np.testing.assert_array_equal(made, plain, "its objects are painted whole")
        boxed, _, _ = paint(margin=0.0, feather=0.3)
        assert (made != real).sum() < (boxed != real).sum()
