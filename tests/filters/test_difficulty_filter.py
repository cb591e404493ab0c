from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from builders import write_dataset
from synthdata.config.filter import FilterConfig
from synthdata.errors import DatasetError
from synthdata.files import read_json
from synthdata.filters.difficulty import score_error, split_in_folds
from synthdata.filters.run import filter_pool
from synthdata.samples import DetectionDataset

JUDGE: dict[str, Any] = {
    "kind": "difficulty",
    "detector": {"kind": "ultralytics", "model": "yolo11p.yaml", "image_size": 64},
    "steps": 10,
    "batch_size": 4,
    "threads": 1,
    "confidence": 0.001,
    "iou_threshold": 0.05,
}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("train"), num=8, seed=1, prefix="real")


def ids(dataset: DetectionDataset) -> set[str]:
    return {sample.sample_id for sample in dataset}


@pytest.mark.parametrize("num", [2, 3])
def test_each_image_is_in_one_fold_and_its_judge_never_sees_it(
    train: DetectionDataset, num: int
) -> None:
    folds = list(split_in_folds(train, num, seed=0))

    assert len(folds) == num
    for seen, unseen in folds:
        assert ids(seen) | ids(unseen) == ids(train)
        assert not ids(seen) & ids(unseen)
        assert abs(len(unseen) - 8 / num) < 1
    assert sorted(name for _, unseen in folds for name in ids(unseen)) == sorted(ids(train))
    shuffled = replace(train, samples=train.samples[::-1])
    assert [ids(one) for _, one in split_in_folds(shuffled, num, seed=0)] == [
        ids(one) for _, one in folds
    ]
    other = [ids(one) for _, one in split_in_folds(train, num, seed=1)]
    assert other != [ids(one) for _, one in folds]


def test_groups_stay_whole(train: DetectionDataset) -> None:
    grouped = [replace(s, group=f"slide-{i // 3}") for i, s in enumerate(train)]
    slides = replace(train, samples=tuple(grouped))

    for seen, unseen in split_in_folds(slides, 3, seed=0):
        assert not {s.group for s in seen} & {s.group for s in unseen}
    with pytest.raises(DatasetError, match="each of its 4 folds, got 3 in 8 images"):
        list(split_in_folds(slides, 4, seed=0))


def test_the_middle_of_the_band_is_best() -> None:
    usual = np.linspace(0.1, 0.9, 101)

    def score(error: float, band: tuple[float, float] = (20, 80)) -> float:
        found = score_error("image", error, usual, band).score
        assert found is not None
        return found

    assert score(0.5) == pytest.approx(1, abs=0.02)
    assert [score(0.26), score(0.74)] == pytest.approx([0.5, 0.5], abs=0.02)
    assert score(0.05) == score(0.95) == 0
    easier = [score(error) for error in np.linspace(0, 0.5, 20)]
    assert easier == sorted(easier)
    assert score(0.74, (20, 95)) > score(0.26, (20, 95)), "a band of harder ones"
    hard = score_error("image", 0.85, usual, (20, 80))
    assert hard.detail == "error 0.85, percentile 93 of real images': harder than most real images"


@pytest.mark.parametrize("band", [[80, 20], [0, 50], [50, 100], [50, 50]])
def test_a_band_lies_inside(band: list[float]) -> None:
    with pytest.raises(ValidationError, match=r"band is \(lower, upper\) percentile"):
        FilterConfig.model_validate({"filters": [JUDGE | {"band": band}]})


@pytest.mark.slow
def test_pools_are_scored_by_judges_that_each_left_a_fold_out(
    train: DetectionDataset, tmp_path: Path
) -> None:
    pool = write_dataset(tmp_path / "pool", num=5, seed=2, prefix="synthetic")
    again = tuple(replace(sample, sample_id=f"again-{sample.sample_id}") for sample in pool)
    twice = replace(pool, samples=pool.samples + again[::-1])
    section = FilterConfig.model_validate({"filters": [JUDGE], "keep_fraction": 0.1})

    def run(min_coverage: float) -> dict[str, Any]:
        return filter_pool(
            section.model_copy(update={"min_coverage": min_coverage}),
            train=train,
            pool=twice,
            model_dir=None,
            out_dir=tmp_path,
        )

    with pytest.raises(DatasetError, match="min_coverage"):
        run(1.0)
    folds = [ids(unseen) for _, unseen in split_in_folds(train, 2, seed=0)]
    for number, unseen in enumerate(folds):
        job = read_json(tmp_path / "work" / "difficulty" / f"fold-{number}" / "job.json")
        predicted = {Path(path).stem for path in job["targets"]["targets"]}
        assert predicted == unseen | ids(pool)

    metrics = run(0.0)

    scores = pd.read_parquet(tmp_path / "scores.parquet").set_index("sample_id")
    assert scores["score"].between(0, 1).all()
    assert scores["detail"].nunique() > 1
    for sample in pool:  # an image's score is its own, wherever it stands
        own, other = (scores.loc[f"{start}{sample.sample_id}"] for start in ("", "again-"))
        assert own.equals(other)
    assert set(metrics["error_on_real_train"]) == {"lower quartile", "median", "upper quartile"}
    assert metrics["num_images"]["filtered"] == metrics["num_images"]["random_drop"] == 1
