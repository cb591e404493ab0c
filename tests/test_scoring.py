from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from builders import write_dataset
from synthdata.config.score import ScoreConfig
from synthdata.samples import Split
from synthdata.scoring import _novelty, judge_images


def test_the_judge_learns_from_all_real_train_images_and_no_others(tmp_path: Path) -> None:
    splits = get_args(Split)
    assert set(splits) == {"train", "val", "test", "reserve"}
    dataset = write_dataset(tmp_path, num=8, seed=0)
    dealt = [replace(sample, split=splits[i % len(splits)]) for i, sample in enumerate(dataset)]
    found = judge_images(replace(dataset, samples=tuple(dealt)))
    expected = [one.sample_id for one in dealt if one.split in ("train", "reserve")]
    assert sorted(one.sample_id for one in found) == sorted(expected)
    assert {one.split for one in found} == {"train"}


def test_novelty_is_the_distance_to_train_over_that_of_real_images(tmp_path: Path) -> None:
    train, val = (write_dataset(tmp_path / f"{i}", num=4, seed=i) for i in range(2))
    judge = {"detector": {"kind": "ultralytics", "model": "yolo11p.yaml"}}
    section = ScoreConfig.model_validate({"judge": judge, "encoder": {"kind": "thumbnail"}})
    parts = {"real": val, "generated": val, "pool": train}

    found = _novelty(section, train, parts, cache_dir=tmp_path / "features")

    assert found["median_distance"]["real"] > 0.01
    assert found["ratio"] == 1
    assert found["pool_ratio"] == pytest.approx(0, abs=1e-3), "copies of train images"
