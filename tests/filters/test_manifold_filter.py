import numpy as np
import pytest

from filters.scoring import features_of, pool_of
from synthdata.features.boxes import BoxFeatures
from synthdata.filters.manifold import class_coverage, judge_crops, score_by_manifold

RNG = np.random.default_rng(0)


def cloud(class_id: int, centre: float, num: int = 30) -> BoxFeatures:
    features = RNG.normal(centre, 1, (num, 4)).astype(np.float32)
    return BoxFeatures(features, np.zeros(num, np.int64), np.full(num, class_id, np.int64))


def joined(*parts: BoxFeatures) -> BoxFeatures:
    return BoxFeatures(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0]))
    )


REAL = joined(cloud(0, 0), cloud(1, 10))
AT_0, AT_10, FAR = [0.0] * 4, [10.0] * 4, [40.0] * 4


def test_a_crop_is_judged_by_its_own_class() -> None:
    pool = pool_of([0, 1], [1, 0])
    judged = judge_crops(
        real=REAL, generated=features_of(pool, [AT_0, AT_10, AT_0, AT_10]), num_neighbors=3
    )
    assert judged.inside.tolist() == [True, True, False, False]
    assert (judged.score[:2] == 1).all()
    assert (judged.score[2:] < 0.25).all()


def test_a_crop_near_an_odd_real_one_alone_scores_less_than_one_among_many() -> None:
    pool = pool_of([0, 0, 0])
    odd = np.full((1, 4), 6, np.float32)  # its ball reaches to the others
    real = joined(cloud(0, 0), BoxFeatures(odd, np.zeros(1, np.int64), np.zeros(1, np.int64)))
    generated = features_of(pool, [AT_0, odd[0].tolist(), FAR])
    judged = judge_crops(real=real, generated=generated, num_neighbors=4)
    assert judged.inside.tolist() == [True, True, False]
    assert judged.score[0] == 1
    assert judged.score[1] == (1 + 1 / 4) / 2  # in one ball, of k = 4
    assert judged.score[2] < 0.5


def test_an_image_scores_the_mean_over_its_classes() -> None:
    pool = pool_of([0, 0, 0, 1], [0, 0, 0, 1], [0, 1])
    scores = score_by_manifold(
        pool,
        real=REAL,
        generated=features_of(pool, [AT_0] * 3 + [AT_10] + [AT_0] * 3 + [FAR] + [AT_0, FAR]),
        num_neighbors=3,
    )
    assert [s.sample_id for s in scores] == ["s00", "s01", "s02"]
    assert scores[0].score == 1
    assert scores[0].detail == "0 of 4 crops outside the real manifold"
    # One bad white cell weighs the same beside one red cell as beside three.
    assert scores[1].score == pytest.approx(scores[2].score)
    assert 0.5 < (scores[1].score or 0) < 0.55
    assert scores[1].detail == "1 of 4 crops outside the real manifold"


def test_a_score_depends_on_the_image_only() -> None:
    pool = pool_of([0, 1], [0], [1, 1, 0])
    values = RNG.normal(1, 3, (6, 4)).tolist()
    together = score_by_manifold(
        pool, real=REAL, generated=features_of(pool, values), num_neighbors=3
    )
    last = pool_of([1, 1, 0])
    alone = score_by_manifold(
        last, real=REAL, generated=features_of(last, values[3:]), num_neighbors=3
    )
    assert alone[0].score == pytest.approx(together[2].score, rel=1e-9)
    assert alone[0].detail == together[2].detail


def test_what_cannot_be_judged_has_no_score() -> None:
    pool = pool_of([], [2], [0, 2])
    real = joined(REAL, cloud(2, 20, num=1))
    scores = score_by_manifold(
        pool, real=real, generated=features_of(pool, [FAR, AT_0, FAR]), num_neighbors=3
    )
    assert [s.score for s in scores] == [None, None, 1]
    assert scores[1].detail == "no box of a class with two real crops"


def test_a_rare_class_is_judged_with_fewer_neighbours() -> None:
    pool = pool_of([2], [2])
    real = joined(REAL, cloud(2, 20, num=3))
    near = real.features[-1].tolist()
    scores = score_by_manifold(
        pool, real=real, generated=features_of(pool, [near, AT_0]), num_neighbors=5
    )
    assert scores[0].score == 1
    assert (scores[1].score or 0) < 0.25


def test_coverage_is_by_class() -> None:
    pool = pool_of([0, 0], [1])
    real = joined(REAL, cloud(2, 20, num=1))
    coverage = class_coverage(
        real=real,
        generated=features_of(pool, [*REAL.features[:2].tolist(), FAR]),
        num_neighbors=29,
        num_classes=4,
    )
    assert coverage == [1.0, 0.0, None, None]
