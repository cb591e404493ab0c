from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthdata.detections import Detections
from synthdata.metrics.detection import evaluate_detections
from synthdata.metrics.layout_score import score_layouts, shuffle_layouts
from synthdata.samples import Annotations, DetectionDataset, Sample

NAMES = ("RBC", "WBC", "Platelets")


def scenes(num: int, *, seed: int = 0) -> DetectionDataset:
    """Images of 320 by 240 px with objects of each class, none where another image's are."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(num):
        corner = rng.uniform(0, 200, (9, 2))
        boxes = np.hstack([corner, corner + rng.uniform(15, 30, (9, 2))])
        annotations = Annotations(boxes, np.repeat([0, 1, 2], 3))
        samples.append(Sample(f"i{i}", Path(f"i{i}.png"), 320, 240, annotations))
    return DetectionDataset(Path(), NAMES, tuple(samples))


def finds(dataset: DetectionDataset, share: tuple[float, float, float]) -> list[Detections]:
    """Find that share of each class, exactly, the rest not at all."""
    found = []
    for i, sample in enumerate(dataset):
        class_id = sample.annotations.class_id
        lot = (np.arange(len(class_id)) + i) % 10 / 10
        kept = sample.annotations.select(lot < np.array(share)[class_id])
        found.append(Detections(kept.xyxy, kept.class_id, np.full(len(kept), 0.9)))
    return found


def score(real: tuple[float, float, float], generated: tuple[float, float, float]):  # noqa: ANN201
    dataset = scenes(40)
    return score_layouts(
        real=dataset, real_detections=finds(dataset, real),
        generated=dataset, generated_detections=finds(dataset, generated), seed=3,
    )  # fmt: skip


def test_a_class_scores_its_ap_over_that_on_real_images() -> None:
    dataset = scenes(40)
    result = score((1, 1, 0.5), (1, 0.5, 0.2))
    for name, real, generated in (("WBC", 1.0, 0.5), ("Platelets", 0.5, 0.2)):
        row = result.per_class[name]
        expected = {
            share: evaluate_detections(dataset, finds(dataset, (share,) * 3)).per_class_map50[name]
            for share in (real, generated)
        }
        assert row.real_map50 == pytest.approx(expected[real])
        assert row.generated_map50 == pytest.approx(expected[generated])
        assert row.score == pytest.approx(expected[generated] / expected[real])
    assert result.score == pytest.approx(
        np.mean([row.score for row in result.per_class.values() if row.score is not None])
    )


def test_objects_easier_than_real_ones_do_not_pay_for_missing_ones() -> None:
    result = score((0.5, 0.5, 1), (1, 1, 0))
    assert [row.score for row in result.per_class.values()] == [1, 1, 0]
    assert result.score == pytest.approx(2 / 3)
    assert result.map50["generated"] == pytest.approx(2 / 3, abs=0.01)


def test_chance_is_near_zero() -> None:
    result = score((1, 1, 1), (1, 1, 1))
    assert result.score == 1
    assert result.shuffled_score is not None
    assert result.shuffled_score < 0.05


def test_a_class_that_the_judge_never_finds_has_no_score() -> None:
    result = score((1, 1, 0), (1, 1, 1))
    assert result.per_class["Platelets"].score is None
    assert result.score == 1
    assert score((0, 0, 0), (1, 1, 1)).score is None


def test_shuffling_gives_no_image_its_own_layout_and_keeps_all_layouts() -> None:
    dataset = scenes(7)
    shuffled = shuffle_layouts(dataset, seed=1)
    own = [s.annotations.xyxy.tobytes() for s in dataset]
    other = [s.annotations.xyxy.tobytes() for s in shuffled]
    assert sorted(own) == sorted(other)
    assert all(a != b for a, b in zip(own, other, strict=True))
    assert [replace(s, annotations=dataset.samples[0].annotations) for s in shuffled] == [
        replace(s, annotations=dataset.samples[0].annotations) for s in dataset
    ]


def test_shuffled_boxes_fit_the_image_that_they_come_to() -> None:
    first, second = scenes(2).samples
    half = replace(
        second, width=160, height=120, annotations=Annotations([[80, 60, 160, 120]], [1])
    )
    shuffled = shuffle_layouts(DetectionDataset(Path(), NAMES, (first, half)), seed=0)
    np.testing.assert_allclose(shuffled.samples[0].annotations.xyxy, [[160, 120, 320, 240]])
    np.testing.assert_allclose(
        shuffled.samples[1].annotations.xyxy, first.annotations.xyxy / 2, rtol=1e-6
    )


def test_one_image_has_no_chance_to_compare_with() -> None:
    dataset = scenes(1)
    found = finds(dataset, (1, 1, 1))
    result = score_layouts(
        real=dataset, real_detections=found, generated=dataset, generated_detections=found, seed=0
    )
    assert result.score == 1
    assert result.shuffled_score is None
    assert "shuffled" not in result.map50
