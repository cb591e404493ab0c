from pathlib import Path

import numpy as np
import pytest

from synthdata.samples import Annotations, DetectionDataset, Sample


def sample(sample_id: str, split: str = "train") -> Sample:
    return Sample(sample_id, Path(f"{sample_id}.png"), 8, 8, Annotations.empty(), split)  # type: ignore[arg-type]


def test_annotations_need_a_class_a_box() -> None:
    with pytest.raises(ValueError, match="same length, got 1 and 2"):
        Annotations(xyxy=np.ones((1, 4)), class_id=np.array([0, 1]))


def test_annotations_select_count_and_compare() -> None:
    some = Annotations(xyxy=np.arange(12).reshape(3, 4), class_id=np.array([2, 0, 2]))
    assert some.counts(4).tolist() == [1, 0, 2, 0]
    assert some.select(some.class_id == 2).xyxy.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert some == some.select(np.array([0, 1, 2]))
    assert some != some.select(np.array([1, 0, 2]))
    assert len(Annotations.empty()) == 0


def test_sample_ids_are_unique() -> None:
    with pytest.raises(ValueError, match="'b' occurs twice"):
        DetectionDataset(Path(), ("x",), (sample("a"), sample("b"), sample("b")))


def test_split_and_where_keep_the_order() -> None:
    dataset = DetectionDataset(
        Path("root"), ("x",), (sample("a"), sample("b", "val"), sample("c"), sample("d", "reserve"))
    )
    assert [s.sample_id for s in dataset.split("train", "reserve")] == ["a", "c", "d"]
    assert [s.sample_id for s in dataset.where(split="val", origin="real")] == ["b"]
    assert dataset.image_path(dataset.samples[0]) == Path("root/a.png")
