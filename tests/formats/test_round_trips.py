from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synthdata.errors import DatasetError
from synthdata.formats.coco import load_coco, save_coco
from synthdata.formats.voc import load_voc, save_voc
from synthdata.formats.yolo import load_yolo, save_yolo
from synthdata.samples import DetectionDataset

Save = Callable[[DetectionDataset, Path], None]
Load = Callable[[Path], DetectionDataset]
FORMATS: dict[str, tuple[Save, Load]] = {
    "yolo": (save_yolo, load_yolo),
    "coco": (save_coco, load_coco),
    "coco-official": (partial(save_coco, official=True), load_coco),
    "voc": (save_voc, load_voc),
}


def assert_same(found: DetectionDataset, expected: DetectionDataset) -> None:
    """Samples may come in another order; coordinates differ by rounding of float32."""
    assert found.class_names == expected.class_names
    by_id = {sample.sample_id: sample for sample in found}
    assert by_id.keys() == {sample.sample_id for sample in expected}
    for sample in expected:
        other = by_id[sample.sample_id]
        assert (other.width, other.height) == (sample.width, sample.height)
        assert other.split == sample.split
        assert found.image_path(other).read_bytes() == expected.image_path(sample).read_bytes()
        np.testing.assert_array_equal(other.annotations.class_id, sample.annotations.class_id)
        np.testing.assert_allclose(other.annotations.xyxy, sample.annotations.xyxy, atol=2e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_back_what_was_saved(
    name: str, odd_dataset: DetectionDataset, tmp_path: Path
) -> None:
    save, load = FORMATS[name]
    save(odd_dataset, tmp_path / "out")
    assert_same(load(tmp_path / "out"), odd_dataset)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_any_format_turns_into_any_other(
    first: str, second: str, odd_dataset: DetectionDataset, tmp_path: Path
) -> None:
    dataset = odd_dataset
    for step, name in enumerate((first, second)):
        save, load = FORMATS[name]
        save(dataset, tmp_path / str(step))
        dataset = load(tmp_path / str(step))
    assert_same(dataset, odd_dataset)


@pytest.mark.parametrize("name", FORMATS)
def test_saving_replaces_an_older_export(
    name: str, odd_dataset: DetectionDataset, tmp_path: Path
) -> None:
    save, load = FORMATS[name]
    save(odd_dataset, tmp_path / "out")
    save(odd_dataset.split("train", "val"), tmp_path / "out")
    assert len(load(tmp_path / "out")) == 4


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_save_leaves_nothing(
    name: str, odd_dataset: DetectionDataset, tmp_path: Path
) -> None:
    odd_dataset.image_path(odd_dataset.samples[-1]).unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=r"last\.tif"):
        FORMATS[name][0](odd_dataset, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", FORMATS)
def test_the_source_is_never_replaced(name: str, odd_dataset: DetectionDataset) -> None:
    before = sorted(odd_dataset.root.rglob("*"))
    for target in (odd_dataset.root, odd_dataset.root.parent):
        with pytest.raises(DatasetError, match="choose another one"):
            FORMATS[name][0](odd_dataset, target)
    assert sorted(odd_dataset.root.rglob("*")) == before
