from dataclasses import replace
from pathlib import Path
from typing import get_args

from builders import write_dataset
from synthdata.samples import Split
from synthdata.scoring import judge_images


def test_the_judge_learns_from_all_real_train_images_and_no_others(tmp_path: Path) -> None:
    splits = get_args(Split)
    assert set(splits) == {"train", "val", "test", "reserve"}
    dataset = write_dataset(tmp_path, num=8, seed=0)
    dealt = [replace(sample, split=splits[i % len(splits)]) for i, sample in enumerate(dataset)]
    found = judge_images(replace(dataset, samples=tuple(dealt)))
    expected = [one.sample_id for one in dealt if one.split in ("train", "reserve")]
    assert sorted(one.sample_id for one in found) == sorted(expected)
    assert {one.split for one in found} == {"train"}
