import numpy as np
import pytest

from synthdata.samples import Annotations, Layout
from synthdata.training.weights import object_weights


def layout(*xyxy: tuple[float, float, float, float]) -> Layout:
    return Layout("l", 64, 48, Annotations(np.array(xyxy).reshape(-1, 4), [0] * len(xyxy)))


def weights(*layouts: Layout, object_weight: float = 2.0):  # noqa: ANN201
    return object_weights(layouts, object_weight=object_weight, downscale=4)


def test_every_object_adds_the_same_weight_whatever_its_size() -> None:
    large, small = (0, 0, 32, 32), (40, 8, 48, 16)
    plain, with_large, with_small = weights(layout(), layout(large), layout(small))
    assert plain.shape == (12, 16)
    added = [(one - plain).sum() for one in (with_large, with_small)]
    assert added[0] == pytest.approx(added[1])
    assert added[0] > 0
    assert np.concatenate([plain, with_large, with_small]).mean() == pytest.approx(1)


def test_an_object_of_mean_area_weighs_as_often_its_background_as_stated() -> None:
    (found,) = weights(layout((8, 8, 24, 24)), object_weight=2)
    assert found[3, 3] / found[0, 0] == pytest.approx(3)


def test_a_border_within_a_latent_counts_in_part() -> None:
    (found,) = weights(layout((8, 8, 22, 24)), object_weight=2)
    inside, border, outside = found[3, 4], found[3, 5], found[3, 6]
    assert (border - outside) / (inside - outside) == pytest.approx(0.5)


def test_without_weight_or_objects_all_latents_are_alike() -> None:
    np.testing.assert_array_equal(weights(layout((8, 8, 24, 24)), object_weight=0), 1)
    np.testing.assert_array_equal(weights(layout(), layout()), 1)
