from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from builders import CLASS_NAMES, write_dataset
from synthdata.config.filter import FilterConfig
from synthdata.detections import Detections, to_coco_results
from synthdata.detectors.base import predictions_path
from synthdata.errors import DatasetError, GenerationError
from synthdata.files import sha256_file, write_json
from synthdata.filters.kept import load_kept
from synthdata.filters.run import filter_pool
from synthdata.samples import DetectionDataset, join_datasets

MANIFOLD = {"kind": "manifold", "crop_size": 32}
DETECTOR = {
    "kind": "detector",
    "detector": {"kind": "ultralytics", "model": "yolo11p.yaml", "image_size": 64},
    "steps": 2,
    "batch_size": 4,
    "threads": 1,
    "confidence": 0.001,
}


def config(*filters: dict[str, Any], **values: object) -> FilterConfig:
    return FilterConfig.model_validate({"filters": filters, **values})


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("train"), num=10, seed=1, prefix="real")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    """Twelve images like the real ones, of which the odd ones lost their objects."""
    root = tmp_path_factory.mktemp("pool")
    dataset = write_dataset(root, num=12, seed=2, prefix="synthetic")
    rng = np.random.default_rng(0)
    samples = []
    for index, sample in enumerate(dataset):
        if index % 2:
            path = dataset.image_path(sample)
            Image.fromarray(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)).save(path)
            sample = replace(sample, sha256=sha256_file(path))
        samples.append(replace(sample, origin="generated", pool="synthetic"))
    return replace(dataset, samples=tuple(samples))


def test_bad_images_are_rejected_with_a_reason(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    metrics = filter_pool(
        config(MANIFOLD, keep_fraction=0.5),
        train=train,
        pool=pool,
        model_dir=tmp_path,
        out_dir=tmp_path,
    )
    scores = pd.read_parquet(tmp_path / "scores.parquet").set_index("sample_id")["score"]
    good = [s.sample_id for s in pool.samples[::2]]
    bad = [s.sample_id for s in pool.samples[1::2]]
    assert scores[good].min() > scores[bad].max()
    assert ((scores >= 0) & (scores <= 1)).all()
    decisions = pd.read_parquet(tmp_path / "decisions.parquet").set_index("sample_id")
    assert decisions.index.tolist() == [s.sample_id for s in pool]
    rejected = decisions[~decisions["kept"]]
    assert len(rejected) == 6
    assert rejected["reason"].str.match(r"manifold: \d+ of 5 crops outside the real manif").all()
    assert (decisions.loc[decisions["kept"], "reason"] == "").all()
    assert metrics["num_images"] == {"pool": 12, "filtered": 6, "random_drop": 6}
    assert metrics["rejected_by"] == {"manifold": 6}
    means = metrics["mean_score"]["manifold"]
    assert means["filtered"] > means["pool"]
    assert metrics["sets"]["pool"]["objects"] == dict(
        zip(CLASS_NAMES, sum(s.annotations.counts(3) for s in pool), strict=True)  # type: ignore[arg-type]
    )
    assert metrics["encoder"]["name"] == "efficientnet-lite0"
    assert not (tmp_path / "work").exists()


def test_kept_images_are_linked_and_loaded(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    filter_pool(
        config(MANIFOLD, keep_fraction=0.5),
        train=train,
        pool=pool,
        model_dir=tmp_path,
        out_dir=tmp_path,
    )
    sets = load_kept(tmp_path)
    assert set(sets) == {"filtered", "random_drop", "manifold"}
    filtered, random_drop = sets["filtered"], sets["random_drop"]
    assert sets["manifold"] == filtered, "it is the only filter"
    decisions = pd.read_parquet(tmp_path / "decisions.parquet")
    assert [s.sample_id for s in filtered] == decisions.loc[decisions["kept"], "sample_id"].tolist()
    assert len(random_drop) == len(filtered) == 6
    assert {s.sample_id for s in random_drop} != {s.sample_id for s in filtered}
    by_id = {s.sample_id: s for s in pool}
    for sample in (*filtered, *random_drop):
        assert sha256_file(filtered.image_path(sample)) == by_id[sample.sample_id].sha256
        np.testing.assert_allclose(
            sample.annotations.xyxy, by_id[sample.sample_id].annotations.xyxy, atol=1e-4
        )
        assert sample.origin == "generated"
    linked = {s.path.name for s in (*filtered, *random_drop)}
    assert {p.name for p in (tmp_path / "images").iterdir()} == linked


@pytest.mark.slow
def test_a_score_does_not_depend_on_the_rest_of_the_pool(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    part = replace(pool, samples=pool.samples[4:1:-1])
    # Far enough to find something, which alone can depend on anything.
    judge = DETECTOR | {"steps": 60, "batch_size": 8, "iou_threshold": 0.05}
    frames = []
    for name, one_pool in (("whole", pool), ("part", part)):
        filter_pool(
            config(MANIFOLD, judge, {"kind": "memorisation"}, min_coverage=0),
            train=train,
            pool=one_pool,
            model_dir=tmp_path,
            out_dir=tmp_path / name,
        )
        scores = pd.read_parquet(tmp_path / name / "scores.parquet")
        frames.append(scores.set_index(["filter", "sample_id"]))
    whole, alone = frames
    assert len(alone) == 3 * 3
    assert alone.loc["detector", "score"].nunique() > 1
    pd.testing.assert_frame_equal(alone, whole.loc[alone.index], check_exact=True)


def test_a_filter_that_keeps_nothing_leaves_an_empty_set(
    train: DetectionDataset,
    pool: DetectionDataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    noise = replace(pool, samples=pool.samples[1::2])
    section = config(MANIFOLD | {"min_score": 1.0})
    metrics = filter_pool(section, train=train, pool=noise, model_dir=tmp_path, out_dir=tmp_path)
    assert "keeps none of 6 images" in caplog.text
    assert metrics["num_images"] == {"pool": 6, "filtered": 0, "random_drop": 0}
    sets = load_kept(tmp_path)
    assert [len(one) for one in sets.values()] == [0, 0, 0]
    assert sets["filtered"].class_names == CLASS_NAMES


def test_too_little_coverage_stops_the_stage(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    section = config(MANIFOLD, keep_fraction=0.1, min_coverage=1.0)
    with pytest.raises(DatasetError, match=r"all 12 images cover, the 1 kept ones cover \d+\.\d%"):
        filter_pool(section, train=train, pool=pool, model_dir=tmp_path, out_dir=tmp_path)
    assert not (tmp_path / "decisions.parquet").exists()
    with pytest.raises(DatasetError, match="run stage filter first"):
        load_kept(tmp_path)


def test_a_class_that_is_lost_stops_the_stage(
    train: DetectionDataset,
    pool: DetectionDataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The filter rejects copies, and only copies show class 1."""

    def only(dataset: DetectionDataset, class_id: int) -> DetectionDataset:
        return replace(
            dataset,
            samples=tuple(
                replace(
                    one, annotations=one.annotations.select(one.annotations.class_id == class_id)
                )
                for one in dataset
            ),
        )

    fresh = replace(pool, samples=pool.samples[::2])
    mixed = join_datasets(fresh=only(fresh, 0), copied=only(train, 1))
    section = config({"kind": "memorisation"}, keep_fraction=1.0)

    with pytest.raises(
        DatasetError, match=r"crops of WBC that all 16 .* 6 kept ones cover 0\.0%.*'memo"
    ):
        filter_pool(section, train=train, pool=mixed, model_dir=tmp_path, out_dir=tmp_path)

    section = section.model_copy(update={"min_coverage": 0.0})
    metrics = filter_pool(section, train=train, pool=mixed, model_dir=tmp_path, out_dir=tmp_path)
    assert metrics["relative_coverage"] == {"RBC": 1, "WBC": 0, "Platelets": None}
    assert metrics["rejected_by"] == {"memorisation": 10}
    assert "min_coverage isn't checked for Platelets: all images together" in caplog.text
    assert metrics["by_filter"]["memorisation"]["encoder"]["name"] == "thumbnail"


def test_no_real_image_is_an_error(pool: DetectionDataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="filters need real train images, got none"):
        filter_pool(
            config(MANIFOLD),
            train=replace(pool, samples=()),
            pool=pool,
            model_dir=tmp_path,
            out_dir=tmp_path,
        )


def test_an_empty_pool(train: DetectionDataset, pool: DetectionDataset, tmp_path: Path) -> None:
    empty = replace(pool, samples=())
    metrics = filter_pool(
        config(MANIFOLD), train=train, pool=empty, model_dir=tmp_path, out_dir=tmp_path
    )
    assert metrics["num_images"] == {"pool": 0, "filtered": 0, "random_drop": 0}
    assert len(load_kept(tmp_path)["filtered"]) == 0


@pytest.mark.slow
def test_a_killed_stage_goes_on_with_the_judge(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    section = config(MANIFOLD, DETECTOR, keep_fraction=0.1, min_coverage=1.0)
    with pytest.raises(DatasetError, match="min_coverage"):
        filter_pool(section, train=train, pool=pool, model_dir=tmp_path, out_dir=tmp_path)
    before = pd.read_parquet(tmp_path / "scores.parquet")
    assert before["filter"].value_counts().to_dict() == {"manifold": 12, "detector": 12}
    assert before["score"].between(0, 1).all()
    # What is found again can be told from what is computed again when it is changed.
    targets = [Detections(np.zeros((0, 4)), [], [])] * (len(train) + len(pool))
    promised = pool.samples[3].annotations
    targets[len(train) + 3] = Detections(
        promised.xyxy, promised.class_id, np.ones(len(promised), np.float32)
    )
    write_json(predictions_path(tmp_path / "work" / "judge", "targets"), to_coco_results(targets))
    section = section.model_copy(update={"min_coverage": 0.0})
    metrics = filter_pool(section, train=train, pool=pool, model_dir=tmp_path, out_dir=tmp_path)
    after = pd.read_parquet(tmp_path / "scores.parquet").set_index("filter")
    judged = after.loc["detector"].set_index("sample_id")["score"].to_dict()
    assert judged == {s.sample_id: float(i == 3) for i, s in enumerate(pool)}
    assert metrics["judge_score_on_real_train"] == 0
    manifold = before.set_index("filter").loc["manifold", "score"]
    np.testing.assert_array_equal(after.loc["manifold", "score"], manifold)
    assert metrics["num_images"]["filtered"] == 1


def test_the_clip_of_fit_is_needed(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match=r"none in .*; set fit\.clip and run fit again"):
        filter_pool(
            config({"kind": "clip"}), train=train, pool=pool, model_dir=tmp_path, out_dir=tmp_path
        )
