import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthdata.samples import UInt8Array
from synthdata.training.grain import Grain, add_grain, measure_grain

COVARIANCE = np.array([[13.0, 12, 6], [12, 17, 4], [6, 4, 19]])
GREY = np.full((300, 400, 3), 128, np.uint8)


def noise(seed: int, blur_px: float) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal((300, 400, 3))
    blurred = gaussian_filter(white, (blur_px, blur_px, 0))
    return blurred / blurred.std() @ np.linalg.cholesky(COVARIANCE).T


def measure(*residuals: np.ndarray) -> Grain:
    return measure_grain([GREY[: len(one), : one.shape[1]] + one for one in residuals], residuals)


def left_over(image: UInt8Array) -> np.ndarray:
    return image.astype(float) - 128


def covariance_of(grain: Grain) -> np.ndarray:
    return np.array(grain.covariance) * np.mean(np.square(grain.strength))


@pytest.mark.parametrize("blur_px", [0, 0.7, 1.0])
def test_grain_put_back_is_the_grain_that_was_measured(blur_px: float) -> None:
    measured = measure(noise(0, blur_px), noise(1, blur_px))

    assert measured.blur_px == pytest.approx(blur_px, abs=0.1)
    np.testing.assert_allclose(covariance_of(measured), COVARIANCE, rtol=0.15, atol=1)
    again = measure(left_over(add_grain(GREY, measured, seed=5)))
    assert again.blur_px == pytest.approx(measured.blur_px, abs=0.1)
    np.testing.assert_allclose(covariance_of(again), COVARIANCE, rtol=0.15, atol=1)


def test_grain_depends_on_the_seed_only() -> None:
    grain = measure(noise(0, 0.7))
    once = add_grain(GREY, grain, seed=1)

    assert once.dtype == np.uint8
    assert np.array_equal(once, add_grain(GREY, grain, seed=1))
    assert not np.array_equal(once, add_grain(GREY, grain, seed=2))
    assert once.mean() == pytest.approx(128, abs=0.1)
    black = add_grain(np.zeros_like(GREY), grain, seed=1)
    assert black.min() == 0
    assert black.max() < 30, "clipped, not wrapped"


def test_a_perfect_reconstruction_has_no_grain() -> None:
    none = measure(np.zeros((8, 8, 3), np.float32))

    assert none == Grain(covariance=((0, 0, 0),) * 3, blur_px=0, activity=(0,), strength=(0,))
    assert np.array_equal(add_grain(GREY, none, seed=0), GREY)


def test_edges_that_got_lost_are_no_grain() -> None:
    residual = noise(0, 0.7)
    lost = residual.copy()
    lost[::40] += 80

    measured = measure(lost)

    np.testing.assert_allclose(covariance_of(measured), COVARIANCE, rtol=0.15, atol=0.5)
    assert measured.blur_px == pytest.approx(measure(residual).blur_px, abs=0.1)


def test_grey_images_get_grey_grain() -> None:
    grey = np.repeat(noise(0, 0.7)[:, :, :1], 3, axis=2)

    image = add_grain(GREY, measure(grey), seed=0)

    assert image.std() > 3
    assert np.array_equal(image[..., 0], image[..., 1])


def test_grain_is_as_strong_as_where_photographs_are_as_lively() -> None:
    lively = GREY.copy()
    lively[:, 200:] += np.random.default_rng(2).integers(-15, 15, (300, 200, 1)).astype(np.uint8)
    residual = noise(0, 0.7)
    residual[:, 200:] *= 2

    grain = measure_grain([lively + residual], [residual])
    left = add_grain(lively, grain, seed=3).astype(float) - lively

    assert grain.strength[-1] == pytest.approx(2 * grain.strength[0], rel=0.1)
    for half in (slice(0, 190), slice(210, 400)):
        assert left[:, half].std() == pytest.approx(residual[:, half].std(), rel=0.1)
