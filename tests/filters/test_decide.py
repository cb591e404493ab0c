import numpy as np
import pytest

from filters.scoring import pool_of, scores_of
from synthdata.config.filter import FilterConfig
from synthdata.filters.base import scores_frame
from synthdata.filters.decide import decide, decide_alone, decisions_frame
from synthdata.filters.random import random_order

DETECTOR = {"kind": "detector", "detector": {"kind": "ultralytics"}}


def config(
    keep_fraction: float = 0.5, *, min_score: float = 0, weight: float = 1, both: bool = False
) -> FilterConfig:
    manifold = {"kind": "manifold", "min_score": min_score, "weight": weight}
    return FilterConfig.model_validate(
        {"filters": [manifold, DETECTOR] if both else [manifold], "keep_fraction": keep_fraction}
    )


def kept(section: FilterConfig, pool: object, scores: object) -> list[str]:
    return [d.sample_id for d in decide(section, pool, scores) if d.kept]  # type: ignore[arg-type]


def test_the_best_are_kept() -> None:
    pool = pool_of([0], [0], [0], [0])
    scores = {"manifold": scores_of(0.2, 0.9, 0.4, 0.8)}
    decisions = decide(config(), pool, scores)
    assert [d.kept for d in decisions] == [False, True, False, True]
    assert decisions[0].reason == "manifold: detail 0; score 0.200 not among the best"
    assert decisions[1].reason == ""
    assert kept(config(1.0), pool, scores) == ["s00", "s01", "s02", "s03"]


def test_ranks_are_weighted() -> None:
    pool = pool_of([0], [0])
    scores = {"manifold": scores_of(0.9, 0.1), "detector": scores_of(0.1, 0.9)}
    assert kept(config(both=True, weight=2), pool, scores) == ["s00"]
    assert kept(config(both=True, weight=0.5), pool, scores) == ["s01"]


def test_the_reason_is_what_cost_most() -> None:
    pool = pool_of([0], [0], [0])
    scores = {"manifold": scores_of(0.9, 0.5, 0.8), "detector": scores_of(0.9, 0.8, 0.1)}
    rejected = [d.rejected_by for d in decide(config(0.34, both=True), pool, scores)]
    assert rejected == ["", "manifold", "detector"]
    weighted = decide(config(0.34, both=True, weight=0.01), pool, scores)
    assert [d.rejected_by for d in weighted] == ["", "detector", "detector"]


def test_a_hard_class_is_not_filtered_away() -> None:
    easy, hard = [[0]] * 10, [[0, 2]] * 10
    pool = pool_of(*easy, *hard)
    scores = {"manifold": scores_of(*np.linspace(1, 0, 20))}
    best_of_each = [f"s{i:02}" for i in (*range(5), *range(10, 15))]
    assert kept(config(), pool, scores) == best_of_each


@pytest.mark.parametrize("num_classes", [3, 20, 80])
def test_with_many_classes_the_best_are_kept_too(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    pool = pool_of(*rng.integers(0, num_classes, (300, 6)).tolist())
    score = rng.random(300)
    chosen = [d.kept for d in decide(config(), pool, {"manifold": scores_of(*score)})]
    assert score[chosen].mean() > 0.7, "0.75 is the best half, 0.5 a random one"


def test_ties_are_broken_at_random() -> None:
    pool = pool_of(*([0] for _ in range(60)))
    scores = {"manifold": scores_of(*([1.0] * 60))}
    decisions = decide(config(), pool, scores)
    chosen = [d.kept for d in decisions]
    assert 8 < sum(chosen[:30]) < 22, "not the first ids"
    assert chosen != decisions_frame(config(), pool, decisions, {})["random_kept"].tolist()
    other = config().model_copy(update={"seed": 1})
    assert chosen != [d.kept for d in decide(other, pool, scores)]


def test_memorisation_rejects_copies_and_ranks_no_others() -> None:
    pool = pool_of([0], [0], [0], [0])
    section = FilterConfig.model_validate(
        {"filters": [{"kind": "manifold"}, {"kind": "memorisation"}], "keep_fraction": 0.5}
    )
    scores = {"manifold": scores_of(0.9, 0.8, 0.2, 0.1), "memorisation": scores_of(0.2, 0.8, 1, 1)}

    decisions = decide(section, pool, scores)

    assert [d.rejected_by for d in decisions] == ["memorisation", "", "", "manifold"]
    assert decisions[0].reason.endswith("score 0.200 below min_score")
    alone = decide_alone(section, pool, scores, at_most=2)["memorisation"]
    assert sum(d.kept for d in alone) == 2
    assert sorted(d.rejected_by for d in alone) == ["", "", "keep_fraction", "memorisation"]


def test_all_missed_minima_are_named() -> None:
    pool = pool_of([0])
    section = FilterConfig.model_validate(
        {"filters": [{"kind": "manifold", "min_score": 0.5}, {"kind": "memorisation"}]}
    )
    (decision,) = decide(
        section, pool, {"manifold": scores_of(0.1), "memorisation": scores_of(0.2)}
    )
    assert decision.rejected_by == "manifold"
    assert "manifold: detail 0; score 0.100 below min_score; memorisation:" in decision.reason


def test_nothing_takes_the_place_of_a_failure() -> None:
    pool = pool_of([0], [0], [0], [0])
    scores = {"manifold": scores_of(0.9, 0.4, 0.4, 0.3)}
    decisions = decide(config(0.75, min_score=0.5), pool, scores)
    assert [d.kept for d in decisions] == [True, False, False, False]
    assert decisions[1].reason.endswith("score 0.400 below min_score")
    assert kept(config(0.75, min_score=0.95), pool, scores) == []


def test_images_that_a_filter_cannot_judge_rank_in_the_middle() -> None:
    pool = pool_of([0], [0], [0])
    scores = {"manifold": scores_of(0.1, None, 0.9)}
    section = config(0.67, min_score=0.05)
    assert kept(section, pool, scores) == ["s01", "s02"]


@pytest.mark.parametrize(
    ("fraction", "num", "expected"), [(0.5, 5, 3), (0.7, 200, 140), (0.3, 1, 0), (0.5, 0, 0)]
)
def test_how_many_are_kept(fraction: float, num: int, expected: int) -> None:
    pool = pool_of(*([0] for _ in range(num)))
    scores = {"manifold": scores_of(*np.linspace(0, 1, num))}
    assert len(kept(config(fraction), pool, scores)) == expected


def test_the_order_of_the_pool_does_not_matter() -> None:
    pool = pool_of(*([i % 2] for i in range(12)))
    scores = scores_of(*np.random.default_rng(0).choice([0.2, 0.4, 0.6], 12))
    backwards = type(pool)(pool.root, pool.class_names, pool.samples[::-1])
    assert sorted(kept(config(), backwards, {"manifold": scores[::-1]})) == kept(
        config(), pool, {"manifold": scores}
    )


def test_the_random_twin_drops_as_many() -> None:
    pool = pool_of(*([0] for _ in range(40)))
    decisions = decide(config(), pool, {"manifold": scores_of(*np.linspace(0, 1, 40))})
    frame = decisions_frame(config(), pool, decisions, {})
    assert list(frame.columns) == ["sample_id", "kept", "reason", "random_kept"]
    assert frame["kept"].sum() == frame["random_kept"].sum() == 20
    both = (frame["kept"] & frame["random_kept"]).sum()
    other = config().model_copy(update={"seed": 1})
    assert 4 < both < 16
    assert not frame["random_kept"].equals(
        decisions_frame(other, pool, decisions, {})["random_kept"]
    )


def test_a_filter_alone_keeps_what_it_ranks_highest() -> None:
    pool = pool_of([0], [0], [0], [0])
    scores = {"manifold": scores_of(0.9, 0.8, 0.1, 0.2), "detector": scores_of(0.1, 0.2, 0.9, 0.8)}
    section = config(both=True, weight=0.01)

    alone = decide_alone(section, pool, scores, at_most=2)
    frame = decisions_frame(section, pool, decide(section, pool, scores), alone)

    assert frame["manifold_kept"].tolist() == [True, True, False, False]
    fewer = decide_alone(section, pool, scores, at_most=1)["manifold"]
    assert [d.kept for d in fewer] == [True, False, False, False]
    assert frame["detector_kept"].tolist() == [False, False, True, True]
    assert frame["kept"].equals(frame["detector_kept"].rename("kept")), "by its weight"


def test_random_choice_knows_no_order() -> None:
    ids = [f"s{i}" for i in range(30)]
    assert random_order(ids, seed=3) == random_order(ids[::-1], seed=3)
    assert sorted(random_order(ids, seed=3)) == sorted(ids)
    assert random_order(ids, seed=3) != random_order(ids, seed=4)


def test_classes_are_balanced_on_request() -> None:
    pool = pool_of([0, 0, 0], [0, 0], [0], [1], [1, 2], [])
    scores = {"manifold": scores_of(0.9, 0.8, 0.7, 0.2, 0.1, 0.99)}
    section = config().model_copy(update={"balance_classes": True})

    decisions = decide(section, pool, scores)

    assert decisions[1].reason.endswith("not among the best that balance the classes")

    assert [d.sample_id for d in decisions if d.kept] == ["s00", "s03", "s04"]
    twin = decisions_frame(section, pool, decisions, {})["random_kept"]
    assert twin.sum() == 3
    assert twin[3] or twin[4], "the twin is balanced too"
    everything = section.model_copy(update={"keep_fraction": 1.0})
    assert all(d.kept for d in decide(everything, pool, scores)), "images without objects, last"


def test_scores_table() -> None:
    frame = scores_frame({"manifold": scores_of(0.5, None)})
    assert frame.columns.tolist() == ["sample_id", "filter", "score", "detail"]
    assert frame["score"].isna().tolist() == [False, True]
    assert scores_frame({"manifold": []})["score"].dtype == "float64"


def test_a_kind_may_occur_once() -> None:
    with pytest.raises(ValueError, match="each filter kind may occur once"):
        FilterConfig.model_validate({"filters": [{"kind": "manifold"}, {"kind": "manifold"}]})
