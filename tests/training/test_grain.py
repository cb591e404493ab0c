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


def left_over(image: UInt8Array) -> np.ndarray:
    return image.astype(float) - 128


@pytest.mark.parametrize("blur_px", [0, 0.7, 1.0])
def test_grain_put_back_is_the_grain_that_was_measured(blur_px: float) -> None:
    measured = measure_grain([noise(0, blur_px), noise(1, blur_px)])

    assert measured.blur_px == pytest.approx(blur_px, abs=0.1)
    np.testing.assert_allclose(measured.covariance, COVARIANCE, rtol=0.15, atol=1)
    again = measure_grain([left_over(add_grain(GREY, measured, seed=5))])
    assert again.blur_px == pytest.approx(measured.blur_px, abs=0.1)
    np.testing.assert_allclose(again.covariance, COVARIANCE, rtol=0.15, atol=1)


def test_grain_depends_on_the_seed_only() -> None:
    grain = measure_grain([noise(0, 0.7)])
    once = add_grain(GREY, grain, seed=1)

    assert once.dtype == np.uint8
    assert np.array_equal(once, add_grain(GREY, grain, seed=1))
    assert not np.array_equal(once, add_grain(GREY, grain, seed=2))
    assert once.mean() == pytest.approx(128, abs=0.1)
    black = add_grain(np.zeros_like(GREY), grain, seed=1)
    assert black.min() == 0
    assert black.max() < 30, "clipped, not wrapped"


def test_a_perfect_reconstruction_has_no_grain() -> None:
    none = measure_grain([np.zeros((8, 8, 3), np.float32)])

    assert none == Grain(covariance=((0, 0, 0),) * 3, blur_px=0)
    assert np.array_equal(add_grain(GREY, none, seed=0), GREY)


def test_edges_that_got_lost_are_no_grain() -> None:
    residual = noise(0, 0.7)
    lost = residual.copy()
    lost[::40] += 80

    measured = measure_grain([lost])

    np.testing.assert_allclose(measured.covariance, COVARIANCE, rtol=0.15, atol=0.5)
    assert measured.blur_px == pytest.approx(measure_grain([residual]).blur_px, abs=0.1)


def test_grey_images_get_grey_grain() -> None:
    grey = np.repeat(noise(0, 0.7)[:, :, :1], 3, axis=2)

    image = add_grain(GREY, measure_grain([grey]), seed=0)

    assert image.std() > 3
    assert np.array_equal(image[..., 0], image[..., 1])
