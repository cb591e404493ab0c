import numpy as np
import pytest

from synthdata.features.boxes import BoxFeatures
from synthdata.metrics.box_statistics import QUANTITIES, box_values
from synthdata.metrics.half_samples import Estimate, Items, Measure, Resampling, estimate
from synthdata.metrics.measures import (
    BOXES,
    CLIP_SCORE,
    CMMD,
    KID,
    fid_measure,
    inception_measure,
    manifold_measure,
)
from synthdata.samples import DetectionDataset

RNG = np.random.default_rng(0)
WIDTH = 6
ON_FEATURES = [fid_measure(WIDTH), KID, CMMD, manifold_measure(3)]
MORE_IS_BETTER = {"precision", "recall", "density", "coverage"}
RESAMPLING = Resampling(seed=0, num_draws=20)


def both(measure: Measure, real: Items, generated: Items) -> dict[str, Estimate]:
    return estimate(measure, real=real, generated=generated, resampling=RESAMPLING)


def of_class(cells: BoxFeatures, class_id: int) -> Items:
    """One class's crops, projected to few numbers, with their images as units."""
    chosen = cells.select(cells.class_id == class_id)
    projection = np.random.default_rng(1).normal(size=(chosen.features.shape[1], WIDTH))
    return Items((chosen.features @ projection).astype(np.float32), chosen.image)


@pytest.mark.parametrize("measure", ON_FEATURES, ids=lambda measure: measure.names[0])
def test_real_crops_are_nearer_to_each_other_than_to_another_class(
    cells: BoxFeatures, measure: Measure
) -> None:
    red, white = of_class(cells, 0), of_class(cells, 1)
    for name, found in both(measure, red, white).items():
        assert found.low <= found.value <= found.high
        better = found.high < found.halves if name in MORE_IS_BETTER else found.halves < found.low
        assert better, (name, found)


def test_box_statistics_of_real_halves(bccd: DetectionDataset) -> None:
    red, white = (
        Items.independent(np.array(box_values(bccd, class_id=i), dtype=object)) for i in (0, 1)
    )
    found = both(BOXES, red, white)
    assert tuple(found) == QUANTITIES
    assert found["count"].halves < found["count"].low
    assert found["log_area"].halves < found["log_area"].low
    few = box_values(bccd, class_id=0)[:1] + box_values(bccd, class_id=99)[1:]
    rare = both(BOXES, red, Items.independent(np.array(few, dtype=object)))
    assert rare["count"].value is not None
    assert "too rare" in rare["centre_x"].reason


def test_inception_score_stands_beside_that_of_real_items() -> None:
    real = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, 60)] * 9
    collapsed = np.eye(4, dtype=np.float32)[np.zeros(60, int)] * 9
    found = both(inception_measure(4), Items.independent(real), Items.independent(collapsed))
    assert found["inception_score"].value == pytest.approx(1)
    assert found["inception_score"].halves > 3


def test_clip_score_stands_beside_that_of_real_images() -> None:
    real, generated = RNG.normal(26, 1, 40), RNG.normal(22, 1, 40)
    found = both(CLIP_SCORE, Items.independent(real), Items.independent(generated))["clip_score"]
    assert found.low < generated.mean() < found.high < found.halves


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (fid_measure(15), "16 items of each set are needed in a half-sample, there are 15: "
            "the covariance of 15 features is singular below"),
        (manifold_measure(4), "16 items of each set are needed in a half-sample, there are 15"),
        (inception_measure(16), "there are 15: fewer items can't fill 16 classes"),
    ],
)  # fmt: skip
def test_too_few_items_for_a_measure(measure: Measure, reason: str) -> None:
    items = Items.independent(RNG.normal(size=(31, 15)).astype(np.float32))
    for found in both(measure, items, items).values():
        assert found.value is None
        assert reason in found.reason
