from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthdata.datasets.splits import carve_splits, draw_few_shot, keep_first
from synthdata.errors import DatasetError
from synthdata.samples import Annotations, DetectionDataset, Sample, Split


def make(class_ids: list[list[int]], split: Split = "train", prefix: str = "s") -> DetectionDataset:
    samples = tuple(
        Sample(
            f"{prefix}{index}", Path(f"{prefix}{index}.png"), 10, 10,
            Annotations(np.tile([1, 1, 5, 5], (len(ids), 1)), np.array(ids)), split=split,
        )
        for index, ids in enumerate(class_ids)
    )  # fmt: skip
    return DetectionDataset(Path(), ("a", "b", "c"), samples)


def ids(dataset: DetectionDataset, split: Split) -> list[str]:
    return [sample.sample_id for sample in dataset.split(split)]


COMMON = make([[0, 0, 0, 1]] * 50 + [[2]] * 3)


@pytest.mark.parametrize("seed", range(20))
def test_the_draw_holds_each_class(seed: int) -> None:
    drawn = draw_few_shot(COMMON, num_images=6, min_instances=2, seed=seed, num_reserve=10)
    counts = sum(sample.annotations.counts(3) for sample in drawn.split("train"))
    assert len(drawn.split("train")) == 6
    assert (counts >= 2).all()
    assert len(drawn.split("reserve")) == 10
    assert len(drawn) == 16


def test_draws_follow_the_seed_and_are_random_where_they_can_be() -> None:
    plain = make([[0, 1, 2]] * 40)
    draws = [
        ids(draw_few_shot(plain, num_images=10, min_instances=1, seed=seed), "train")
        for seed in range(200)
    ]
    again = draw_few_shot(plain, num_images=10, min_instances=1, seed=3)
    assert ids(again, "train") == draws[3]
    times = np.unique([name for draw in draws for name in draw], return_counts=True)[1]
    assert len(times) == 40
    assert 25 <= times.min() <= times.max() <= 80  # 50 expected


def test_a_tight_draw_is_found() -> None:
    # At random the singles come first and don't fit; two images hold everything.
    dataset = make([[0], [1], [2]] * 10 + [[0, 0, 1, 1], [2, 2]])
    for seed in range(10):
        drawn = draw_few_shot(dataset, num_images=2, min_instances=2, seed=seed)
        assert ids(drawn, "train") == ["s30", "s31"]


def test_all_images_and_other_splits_untouched() -> None:
    val = make([[0]] * 3, split="val", prefix="v")
    dataset = replace(COMMON, samples=COMMON.samples + val.samples)
    drawn = draw_few_shot(dataset, num_images=None, min_instances=1, seed=0)
    assert drawn == dataset
    assert len(draw_few_shot(dataset, num_images=53, min_instances=1, seed=0, num_reserve=0)) == 56


@pytest.mark.parametrize(
    ("num_images", "min_instances", "message"),
    [
        (54, 1, "expected at least train_images = 54 train images, the data set has 53"),
        (20, 4, "got c: 3; lower prepare.min_instances to 3, or label more"),
        (3, 3, "a draw of 3 train images can't hold 3 objects of each class, 6 images can"),
    ],
)
def test_an_impossible_draw_says_what_is_possible(
    num_images: int, min_instances: int, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        draw_few_shot(COMMON, num_images=num_images, min_instances=min_instances, seed=0)


def carve(
    dataset: DetectionDataset, keys: list[str] | None = None, seed: int = 0
) -> DetectionDataset:
    return carve_splits(
        dataset,
        fractions={"val": 0.2, "test": 0.2},
        keys=keys or [s.sample_id for s in dataset],
        seed=seed,
    )


def test_missing_splits_are_taken_from_train_by_key() -> None:
    dataset = make([[0]] * 50)
    carved = carve(dataset)
    assert [len(carved.split(name)) for name in ("train", "val", "test")] == [30, 10, 10]
    backwards = carve(replace(dataset, samples=dataset.samples[::-1]))
    assert set(ids(backwards, "val")) == set(ids(carved, "val"))
    assert set(ids(carve(dataset, seed=1), "val")) != set(ids(carved, "val"))


def test_official_splits_stay() -> None:
    val = make([[0]] * 5, split="val", prefix="v")
    dataset = make([[0]] * 20)
    carved = carve(replace(dataset, samples=dataset.samples + val.samples))
    assert ids(carved, "val") == ["v0", "v1", "v2", "v3", "v4"]
    assert [len(carved.split(name)) for name in ("train", "test")] == [16, 4]


def test_samples_with_one_key_stay_together() -> None:
    carved = carve(make([[0]] * 40), keys=[str(index // 2) for index in range(40)])
    splits = [sample.split for sample in carved]
    assert splits[::2] == splits[1::2]
    assert set(splits) == {"train", "val", "test"}


def test_too_few_images_to_split() -> None:
    assert [s.split for s in carve(make([[0]] * 3))].count("train") == 1
    with pytest.raises(DatasetError, match="expected more than 2 different train images"):
        carve(make([[0]] * 2))


def test_a_cap_keeps_the_same_images_each_time() -> None:
    dataset = make([[0]] * 30, split="val")
    kept = ids(keep_first(dataset, split="val", number=8), "val")
    assert len(kept) == 8
    assert kept != [f"s{index}" for index in range(8)]
    assert set(ids(keep_first(dataset, split="val", number=5), "val")) < set(kept)
    assert keep_first(dataset, split="test", number=0) == dataset
    assert keep_first(dataset, split="val", number=None) == dataset
