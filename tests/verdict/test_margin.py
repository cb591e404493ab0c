import numpy as np
import pytest
from scipy import stats

from synthdata.verdict.family import holm
from synthdata.verdict.margin import margin, p_values, paired_spread


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10, 400])
def test_p_equals_scipys_t_test_without_a_share_of_the_images(num_seeds: int) -> None:
    rng = np.random.default_rng(num_seeds)
    differences = rng.normal(0.5, 1, (num_seeds, 200))
    for num_images in (None, 87):
        spread = paired_spread(differences, num_images=num_images)
        expected = stats.ttest_1samp(differences, 0, axis=0).pvalue
        np.testing.assert_allclose(p_values(differences.mean(axis=0), spread), expected, rtol=1e-12)


@pytest.mark.parametrize("num_images", [2, 10, 87, None])
@pytest.mark.parametrize("num_seeds", [2, 5, 10])
def test_p_is_the_level_at_which_the_margin_is_the_difference(
    num_seeds: int, num_images: int | None
) -> None:
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-3, 3, 300)
    differences = rng.normal(scale * rng.normal(0, 5, 300), scale, (num_seeds, 300))
    variance = scale**2 * 10.0 ** rng.uniform(-8, 3, 300)
    spread = paired_spread(differences, image_variance=variance, num_images=num_images)
    mean = differences.mean(axis=0)
    p = p_values(mean, spread)
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_allclose(margin(spread, p), np.abs(mean), rtol=1e-6)


def test_a_known_images_share_alone_gives_the_normal_test() -> None:
    differences = np.array([[1.0], [1.0 + 1e-9]])
    spread = paired_spread(differences, image_variance=[0.25])
    p = p_values(differences.mean(axis=0), spread)
    assert p == pytest.approx([2 * stats.norm.sf(2)], rel=1e-6)


def test_p_of_no_difference_and_of_an_endless_one() -> None:
    noise = np.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    differences = noise + np.array([0.0, 1e80])
    spread = paired_spread(noise, image_variance=[1.0, 1.0], num_images=87)
    none, endless = p_values(differences.mean(axis=0), spread)
    assert none == 1
    assert 0 < endless < 1e-80


def test_more_image_variance_never_narrows_the_margin_nor_lowers_p() -> None:
    rng = np.random.default_rng(4)
    for num_seeds in (2, 3, 5, 10):
        differences = rng.normal(0.3, 1, (num_seeds, 500))
        for num_images in (2, 87, None):
            widths, ps = [], []
            for ratio in (0.0, 1e-6, 0.1, 1.0, 11.0):
                variance = np.full(500, ratio / num_seeds)
                spread = paired_spread(differences, image_variance=variance, num_images=num_images)
                widths.append(margin(spread, 0.05))
                ps.append(p_values(differences.mean(axis=0), spread))
            assert (np.diff(widths, axis=0) > 0).all()
            assert (np.diff(ps, axis=0) > 0).all()


def test_holm_multiplies_by_the_number_still_in_play_and_never_decreases() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    # sorted .005 .01 .03 .04, times 4 3 2 1 = .02 .03 .06 .04, made monotone
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).max() <= 1


def test_holm_is_of_each_family_along_the_last_axis() -> None:
    p = np.random.default_rng(0).uniform(size=(4, 6, 5)) ** 4
    p[0, 0] = np.nan
    p[1, :, 2] = np.nan
    by_family = [[holm(family) for family in block] for block in p]
    np.testing.assert_array_equal(holm(p), by_family)
