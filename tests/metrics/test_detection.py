import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthdata.detections import Detections, from_coco_results, to_coco_results
from synthdata.metrics.detection import bootstrap_counts, bootstrap_map, evaluate_detections
from synthdata.samples import Annotations, DetectionDataset, Sample

BOX = (10.0, 10.0, 30.0, 40.0)
NAMES = ("RBC", "WBC", "Platelets")


def dataset(*images: Annotations) -> DetectionDataset:
    samples = tuple(
        Sample(f"i{i}", Path(f"images/i{i}.png"), 100, 80, annotations)
        for i, annotations in enumerate(images)
    )
    return DetectionDataset(Path(), NAMES, samples)


def objects(*class_ids: int) -> Annotations:
    boxes = np.array(BOX) + 40 * np.arange(len(class_ids))[:, None]
    return Annotations(xyxy=boxes, class_id=np.array(class_ids))


def found(annotations: Annotations, confidence: Sequence[float] | float = 0.9) -> Detections:
    scores = np.broadcast_to(np.array(confidence, np.float32), len(annotations))
    return Detections(annotations.xyxy, annotations.class_id, scores)


def noisy_scenes(
    num: int, *, seed: int, rare: int = 2
) -> tuple[DetectionDataset, list[Detections]]:
    """Scenes of which only the first few have an object of class 2, and blurred detections."""
    rng = np.random.default_rng(seed)
    images, detections = [], []
    for i in range(num):
        class_id = rng.integers(0, 2, 6)
        class_id[0] = 2 if i < rare else 0
        corner = rng.uniform(0, 70, (6, 2))
        truth = Annotations(np.hstack([corner, corner + rng.uniform(8, 25, (6, 2))]), class_id)
        images.append(truth)
        kept = truth.select(rng.random(6) < 0.8)
        noise = kept.xyxy + rng.normal(0, 1.2, kept.xyxy.shape)
        corner = rng.uniform(0, 70, (9, 2))
        false = np.hstack([corner, corner + 15])
        detections.append(
            Detections(
                np.vstack([noise, false]),
                np.concatenate([kept.class_id, rng.integers(0, 3, 9)]),
                rng.random(len(kept) + 9),
            )
        )
    return dataset(*images), detections


def test_perfect_detections_score_one() -> None:
    images = (objects(0, 1), objects(2), Annotations.empty())
    metrics = evaluate_detections(dataset(*images), [found(image) for image in images])
    assert metrics.map50_95 == metrics.map50 == metrics.map75 == pytest.approx(1)
    assert metrics.per_class == {name: pytest.approx(1) for name in NAMES}


def test_average_precision_by_hand() -> None:
    # by falling confidence: hit, miss, hit; precision 1 up to recall 1/2, then 2/3
    truth = dataset(objects(0), objects(0))
    wrong = Annotations(xyxy=[[60, 50, 80, 70]], class_id=[0])
    first = Detections(
        np.vstack([objects(0).xyxy, wrong.xyxy]), np.array([0, 0]), np.array([0.9, 0.8])
    )
    metrics = evaluate_detections(truth, [first, found(objects(0), 0.7)])
    assert metrics.map50_95 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_loose_boxes_count_at_loose_thresholds_only() -> None:
    # 30 px high, 5 px too low: IoU 25 / 35 = .714, enough for .50 to .70
    low = Annotations(xyxy=np.add([BOX], [0, 5, 0, 5]), class_id=[0])
    metrics = evaluate_detections(dataset(objects(0)), [found(low)])
    assert (metrics.map50, metrics.map75) == (pytest.approx(1), 0)
    assert metrics.map50_95 == pytest.approx(0.5)


def test_a_class_without_objects_has_no_score_and_no_weight() -> None:
    truth = dataset(objects(0, 1))
    metrics = evaluate_detections(truth, [found(objects(0, 1))])
    assert np.isnan(metrics.per_class["Platelets"])
    assert metrics.map50_95 == pytest.approx(1)
    values = json.loads(json.dumps(metrics.to_json(), allow_nan=False))
    assert values["per_class"] == {
        "RBC": pytest.approx(1), "WBC": pytest.approx(1), "Platelets": None,
    }  # fmt: skip


def test_a_class_never_found_scores_zero() -> None:
    metrics = evaluate_detections(dataset(objects(0, 1)), [found(objects(0))])
    assert metrics.per_class["WBC"] == 0
    assert metrics.map50_95 == pytest.approx(0.5)


def test_nothing_found_and_nothing_to_find() -> None:
    nothing = found(Annotations.empty())
    assert evaluate_detections(dataset(objects(0)), [nothing]).map50_95 == 0
    empty = dataset(Annotations.empty())
    assert np.isnan(evaluate_detections(empty, [nothing]).map50_95)
    assert evaluate_detections(empty, [nothing]).to_json()["map50"] is None
    assert np.isnan(bootstrap_map(empty, [nothing], counts=np.ones((2, 1), np.int64))).all()


def test_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_detections(dataset(objects(0)), [found(objects(0))])
    assert capsys.readouterr() == ("", "")


def test_refuses_another_number_of_images() -> None:
    truth = dataset(objects(0), objects(1))
    with pytest.raises(ValueError, match="2 images, got 1"):
        evaluate_detections(truth, [found(objects(0))])
    with pytest.raises(ValueError, match=r"\(num_resamples, 2\)"):
        bootstrap_map(truth, [found(objects(0))] * 2, counts=np.ones((4, 3), np.int64))


def test_bootstrap_equals_evaluating_the_resampled_images_anew() -> None:
    truth, detections = noisy_scenes(12, seed=1, rare=1)
    counts = bootstrap_counts(12, num_resamples=8, seed=4)
    anew = []
    for row in counts:
        index = np.repeat(np.arange(12), row)
        copies = tuple(
            replace(truth.samples[i], sample_id=f"copy-{j}") for j, i in enumerate(index)
        )
        resampled = replace(truth, samples=copies)
        anew.append(evaluate_detections(resampled, [detections[i] for i in index]).map50_95)
    # some resamples lack the rare class, which then has no weight
    assert (counts[:, 0] == 0).any()
    np.testing.assert_allclose(bootstrap_map(truth, detections, counts=counts), anew, atol=1e-12)


def test_bootstrap_of_the_images_themselves_is_their_score() -> None:
    truth, detections = noisy_scenes(10, seed=2)
    once = np.ones((1, 10), np.int64)
    expected = evaluate_detections(truth, detections).map50_95
    assert 0.05 < expected < 0.95
    assert bootstrap_map(truth, detections, counts=once) == pytest.approx([expected])


def test_bootstrap_counts_are_seeded_draws_with_replacement() -> None:
    counts = bootstrap_counts(50, num_resamples=400, seed=7)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    np.testing.assert_array_equal(counts, bootstrap_counts(50, num_resamples=400, seed=7))
    assert (counts != bootstrap_counts(50, num_resamples=400, seed=8)).any()


def test_bootstrap_counts_of_images_are_numpys_multinomial_draws() -> None:
    expected = np.random.default_rng(7).multinomial(9, [1 / 9] * 9, size=40)
    alone = bootstrap_counts(9, num_resamples=40, seed=7)
    np.testing.assert_array_equal(alone, expected)
    assert alone.dtype == np.int64
    # groups of one image each are no groups
    grouped = bootstrap_counts(9, num_resamples=40, seed=7, groups=[f"image-{i}" for i in range(9)])
    np.testing.assert_array_equal(grouped, alone)


def test_whole_groups_are_resampled() -> None:
    groups = ["b", "a", "b", "c", "a", "b"]
    counts = bootstrap_counts(6, num_resamples=500, seed=3, groups=groups)
    # as many groups as there are, drawn with replacement, each with all of its images
    drawn = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, size=500)
    for resample, (b, a, c) in zip(counts, drawn, strict=True):
        assert resample.tolist() == [b, a, b, c, a, b]
    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)


def test_images_in_groups_say_less_than_independent_ones() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(30), 10)
    values = rng.normal(size=30)[groups] + rng.normal(0, 0.1, 300)
    spreads = []
    for labels in (None, groups.tolist()):
        counts = bootstrap_counts(300, num_resamples=2000, seed=1, groups=labels)
        spreads.append(np.std(counts @ values / counts.sum(axis=1)))
    # the standard error of a mean of 30 independent values, not of 300
    by_group = values.reshape(30, 10).mean(axis=1)
    assert spreads[1] == pytest.approx(by_group.std() / np.sqrt(30), rel=0.1)
    assert spreads[1] > 2.5 * spreads[0]


def test_refuses_another_number_of_group_labels() -> None:
    with pytest.raises(ValueError, match="each of 3 images, got 2"):
        bootstrap_counts(3, num_resamples=4, seed=0, groups=["a", "b"])


def test_coco_results_round_trip() -> None:
    detections = [found(objects(0, 2), (0.25, 0.5)), found(Annotations.empty())]
    results = to_coco_results(detections)
    assert results[1] == {
        "image_id": 1, "category_id": 3, "bbox": [50, 50, 20, 30], "score": 0.5,
    }  # fmt: skip
    again = from_coco_results(results, num_images=2)
    np.testing.assert_array_equal(again[0].xyxy, detections[0].xyxy)
    np.testing.assert_array_equal(again[0].class_id, [0, 2])
    assert [len(d) for d in again] == [2, 0]
    with pytest.raises(ValueError, match="between 1 and 1, got 2"):
        from_coco_results([results[0] | {"image_id": 2}], num_images=1)
