from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import write_dataset
from synthdata.config.fit import CropConfig
from synthdata.errors import ConfigError, DatasetError
from synthdata.samples import Annotations, DetectionDataset
from synthdata.training.crops import Crops, make_crops

ALL = CropConfig(
    num_crops=8, size=(40, 32), zoom=0.2, flip_lr=0.5, flip_ud=0.5, rotate90=0.5, colour=0.1
)
PALETTE = np.array([[200, 60, 60], [70, 70, 180], [150, 60, 160]])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("train"), num=3, size=(80, 64))


def test_boxes_follow_the_pixels(dataset: DetectionDataset) -> None:
    crops = make_crops(dataset, ALL, seed=0)
    distances = []
    for image, layout in zip(crops.images, crops.layouts, strict=True):
        objects: Annotations = layout.annotations
        for box, class_id in zip(objects.xyxy, objects.class_id, strict=True):
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            distances.append(np.abs(image[y, x].astype(int) - PALETTE[class_id]).max())

    assert len(distances) > 8
    # Where boxes overlap the later patch hides the earlier one's middle.
    assert np.median(distances) < 40


def test_crops_have_one_size_and_boxes_inside(dataset: DetectionDataset) -> None:
    crops = make_crops(dataset, ALL, seed=0)

    assert crops.images.shape == (8, 32, 40, 3)
    assert crops.images.dtype == np.uint8
    for layout in crops.layouts:
        assert (layout.width, layout.height) == (40, 32)
        xyxy = layout.annotations.xyxy
        assert (xyxy >= 0).all()
        assert (xyxy[:, 2:] <= [40, 32]).all()


def test_crops_are_reproducible_and_differ_from_each_other(dataset: DetectionDataset) -> None:
    once, again = (make_crops(dataset, ALL, seed=0) for _ in range(2))

    assert np.array_equal(once.images, again.images)
    assert all(
        a.annotations == b.annotations for a, b in zip(once.layouts, again.layouts, strict=True)
    )
    assert not np.array_equal(once.images[0], once.images[3]), "same image, second turn"
    assert not np.array_equal(once.images, make_crops(dataset, ALL, seed=1).images)


def test_focused_crops_show_every_class_equally_often(tmp_path: Path) -> None:
    common = Annotations(
        xyxy=np.array([[x, 4, x + 6, 10] for x in range(2, 150, 8)], np.float32),
        class_id=np.zeros(19, np.int64),
    )
    rare = Annotations(xyxy=np.array([[140, 100, 146, 106]], np.float32), class_id=np.array([2]))
    dataset = write_dataset(tmp_path, num=2, size=(160, 120))
    samples = tuple(
        replace(one, annotations=objects)
        for one, objects in zip(dataset.samples, (common, rare), strict=True)
    )
    dataset = replace(dataset, samples=samples)
    config = CropConfig(num_crops=40, size=(40, 32), rotate90=0.5)

    def shows(crops: Crops, class_id: int) -> int:
        return sum(class_id in layout.annotations.class_id for layout in crops.layouts)

    spread = make_crops(dataset, config, seed=0)
    focused = make_crops(dataset, config.model_copy(update={"focus": 0.75}), seed=0)

    # 15 of the 30 focused crops belong to the rare class. A few lose it at the border.
    assert shows(spread, 2) < 8
    assert 12 <= shows(focused, 2) <= 20
    assert shows(focused, 0) >= 12
    assert all(layout.width == 40 for layout in focused.layouts)


def test_a_sliver_of_an_object_is_no_object(tmp_path: Path) -> None:
    """Crops around objects cut twice: neither cut alone may decide what is left."""
    corner = np.array([[x, y] for x in range(0, 160, 20) for y in range(0, 120, 20)], np.float32)
    tiles = Annotations(np.hstack([corner, corner + 20]), np.zeros(len(corner), np.int64))
    (sample,) = write_dataset(tmp_path, num=1, size=(160, 120)).samples
    dataset = DetectionDataset(tmp_path, ("RBC",), (replace(sample, annotations=tiles),))
    config = CropConfig(num_crops=60, size=(40, 32), zoom=0, focus=1, rotate90=0.5)

    xyxy = np.concatenate(
        [one.annotations.xyxy for one in make_crops(dataset, config, seed=0).layouts]
    )

    area = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    assert area.max() > 399, "whole tiles"
    assert area.min() >= 0.15 * 400 - 1e-3


def test_without_augmentation_the_whole_image_comes_back(dataset: DetectionDataset) -> None:
    plain = CropConfig(num_crops=1, zoom=0, flip_lr=0, colour=0)

    crops = make_crops(dataset, plain, seed=0)

    assert crops.images.shape == (1, 64, 80, 3)
    assert np.allclose(crops.layouts[0].annotations.xyxy, dataset.samples[0].annotations.xyxy)


def test_images_without_objects_are_fine(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, num=1, size=(80, 64))
    empty = DetectionDataset(
        root=tmp_path,
        class_names=dataset.class_names,
        samples=tuple(
            type(s)(s.sample_id, s.path, s.width, s.height, Annotations.empty()) for s in dataset
        ),
    )

    assert len(make_crops(empty, ALL, seed=0).layouts[0].annotations) == 0


def test_crops_larger_than_an_image_are_an_error(dataset: DetectionDataset) -> None:
    with pytest.raises(ConfigError, match=r"crops\.size is 80x72 but image 'image-000' is 80x64"):
        make_crops(dataset, CropConfig(num_crops=1, size=(80, 72)), seed=0)
    with pytest.raises(ConfigError, match="rotate90"):
        make_crops(dataset, CropConfig(num_crops=1, size=(80, 64), rotate90=1), seed=0)


def test_no_images_are_an_error(dataset: DetectionDataset) -> None:
    with pytest.raises(DatasetError, match="at least one train image"):
        make_crops(dataset.split("test"), ALL, seed=0)
