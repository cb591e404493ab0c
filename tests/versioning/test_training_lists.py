from pathlib import Path

import numpy as np
import pytest

from synthdata.samples import Annotations, Sample
from synthdata.versioning.lists import draw_places, image_weights

# Class 0 is in each of four images, class 1 in the last one only.
CLASSES = ([0, 0, 0, 0], [0, 0], [0], [0, 1])


def samples(classes: tuple[list[int], ...] = CLASSES) -> list[Sample]:
    return [
        Sample(
            f"{i}",
            Path(f"{i}.png"),
            64,
            48,
            Annotations(np.tile([0, 0, 9, 9], (len(ids), 1)), np.array(ids)),
        )
        for i, ids in enumerate(classes)
    ]


def test_repeat_factors_are_those_of_lvis_at_a_threshold_of_one() -> None:
    weights = image_weights(samples(), sampling="repeat_factor", num_classes=2)
    np.testing.assert_allclose(weights, [1, 1, 1, 1 / np.sqrt(0.25)])


def test_instance_balanced_sampling_shows_each_class_as_often() -> None:
    images = samples()
    rng = np.random.default_rng(0)
    drawn = draw_places(images, places=9000, sampling="instance_balanced", num_classes=2, rng=rng)
    shown = sum(images[i].annotations.counts(2) for i in drawn)
    # The rare class comes with objects of the other, so that it can't gain all the way.
    natural = sum(image.annotations.counts(2) for image in images)
    assert shown[1] / shown.sum() > 2 * natural[1] / natural.sum()
    weights = image_weights(images, sampling="instance_balanced", num_classes=2)
    np.testing.assert_allclose(weights, [4 / 8, 2 / 8, 1 / 8, 1 / 8 + 1])
    np.testing.assert_allclose(np.bincount(drawn) / 9000, weights / weights.sum(), atol=2e-4)


@pytest.mark.parametrize("sampling", ["even", "repeat_factor", "instance_balanced"])
@pytest.mark.parametrize("places", [4, 5, 64])
def test_every_image_has_a_place_where_there_is_room(sampling: str, places: int) -> None:
    rng = np.random.default_rng(1)
    drawn = draw_places(samples(), places=places, sampling=sampling, num_classes=2, rng=rng)  # type: ignore[arg-type]
    assert len(drawn) == places
    assert np.bincount(drawn, minlength=4).min() >= 1


def test_images_without_objects_weigh_as_the_lightest() -> None:
    weights = image_weights(samples(([0], [], [0, 0])), sampling="instance_balanced", num_classes=2)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 2 / 3])
    none = image_weights(samples(([], [])), sampling="repeat_factor", num_classes=2)
    np.testing.assert_allclose(none, [1, 1])
