import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from synthdata.metrics import ManifoldScores, manifold, manifold_scores
from synthdata.metrics.manifold import covered_points, manifold_membership, nearest_distances

RNG = np.random.default_rng(0)


def test_nearest_distances_equal_the_full_matrix() -> None:
    rng = np.random.default_rng(5)
    query, reference = rng.normal(size=(40, 7)), rng.normal(size=(300, 7))
    full = np.linalg.norm(query[:, None] - reference[None], axis=2).min(axis=1)
    found = nearest_distances(features_query=query, features_reference=reference)
    np.testing.assert_allclose(found, full)
    copies = nearest_distances(features_query=reference[:3], features_reference=reference)
    np.testing.assert_allclose(copies, 0, atol=1e-6)
    assert nearest_distances(features_query=query[:0], features_reference=reference).shape == (0,)


def normal(num: int, width: int = 8, *, shift: float = 0, std: float = 1) -> np.ndarray:
    return (RNG.normal(0, std, (num, width)) + shift).astype(np.float32)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a.astype(np.float64) - b) ** 2).sum()))


def radius(points: np.ndarray, index: int, k: int) -> float:
    others = [distance(points[index], p) for i, p in enumerate(points) if i != index]
    return sorted(others)[k - 1]


def naive_scores(real: np.ndarray, generated: np.ndarray, k: int) -> ManifoldScores:
    """The papers' formulas, a point at a time."""
    radii_real = [radius(real, i, k) for i in range(len(real))]
    radii_generated = [radius(generated, j, k) for j in range(len(generated))]
    inside = [
        [distance(g, r) <= rad for r, rad in zip(real, radii_real, strict=True)] for g in generated
    ]
    recalled = [
        any(distance(r, g) <= rad for g, rad in zip(generated, radii_generated, strict=True))
        for r in real
    ]
    return ManifoldScores(
        precision=float(np.mean([any(row) for row in inside])),
        recall=float(np.mean(recalled)),
        density=float(np.sum(inside) / (k * len(generated))),
        coverage=float(np.mean([any(column) for column in zip(*inside, strict=True)])),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(
    ("num_real", "num_generated", "shift", "std"),
    [(40, 40, 0, 1), (25, 60, 0.7, 0.8), (60, 7, -1, 2)],
)
def test_agrees_with_the_papers(
    k: int, num_real: int, num_generated: int, shift: float, std: float
) -> None:
    real, generated = normal(num_real), normal(num_generated, shift=shift, std=std)
    ours = manifold_scores(features_real=real, features_generated=generated, num_neighbors=k)
    expected = naive_scores(real, generated, k)
    assert vars(ours) == pytest.approx(vars(expected))


def test_agrees_with_torch_fidelity() -> None:
    real, generated = normal(150, 16), normal(90, 16, shift=0.3, std=0.9)
    theirs = prc_features_to_metric(  # generated first
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    ours = manifold_scores(features_real=real, features_generated=generated, num_neighbors=3)
    assert 0.1 < ours.precision < 1
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-6)


def modes(centres: list[float], num: int) -> np.ndarray:
    return np.concatenate([normal(num, shift=centre, std=0.1) for centre in centres])


def test_mode_collapse_keeps_precision_and_loses_recall() -> None:
    real, collapsed = modes([0, 10, 20, 30], 25), modes([0], 100)
    scores = manifold_scores(features_real=real, features_generated=collapsed, num_neighbors=5)
    assert scores.precision > 0.8
    assert scores.density > 0.7
    assert scores.recall <= 0.25
    assert scores.coverage <= 0.25


def test_mode_invention_loses_precision_and_keeps_recall() -> None:
    real, inventive = modes([0], 100), modes([0, 10, 20, 30], 25)
    scores = manifold_scores(features_real=real, features_generated=inventive, num_neighbors=5)
    assert scores.precision <= 0.25
    assert scores.density <= 0.35
    assert scores.recall > 0.8
    assert scores.coverage > 0.5


def test_identical_sets_agree_fully() -> None:
    points = normal(50)
    scores = manifold_scores(features_real=points, features_generated=points, num_neighbors=4)
    assert scores == ManifoldScores(precision=1, recall=1, density=5 / 4, coverage=1)


def test_distant_sets_share_nothing() -> None:
    scores = manifold_scores(
        features_real=normal(30), features_generated=normal(30, shift=50), num_neighbors=3
    )
    assert scores == ManifoldScores(precision=0, recall=0, density=0, coverage=0)


def test_a_common_offset_changes_nothing() -> None:
    # In float32, |a|^2 + |b|^2 - 2ab would lose every digit of these distances.
    real, generated = normal(60, std=0.1), normal(60, shift=0.05, std=0.1)
    offset = np.float32(4096)
    moved_real, moved = real + offset, generated + offset
    scores = manifold_scores(features_real=moved_real, features_generated=moved, num_neighbors=3)
    back = manifold_scores(
        features_real=moved_real - offset, features_generated=moved - offset, num_neighbors=3
    )
    assert scores == back
    assert 0 < scores.precision < 1


def test_membership_is_precision_sample_by_sample() -> None:
    real, generated = normal(60), normal(80, shift=0.5)
    scores = manifold_scores(features_real=real, features_generated=generated, num_neighbors=3)
    found = manifold_membership(features_query=generated, features_reference=real, num_neighbors=3)
    covered = covered_points(features_real=real, features_generated=generated, num_neighbors=3)
    assert found.inside.mean() == scores.precision
    assert covered.mean() == scores.coverage
    assert found.inside[found.realism >= 1].all()
    alone = [
        manifold_membership(features_query=generated[[i]], features_reference=real, num_neighbors=3)
        for i in range(len(generated))
    ]
    assert [bool(m.inside[0]) for m in alone] == found.inside.tolist()
    np.testing.assert_allclose([m.realism[0] for m in alone], found.realism, rtol=1e-9)


def test_realism_is_the_papers() -> None:
    real, generated = normal(31), normal(12, shift=0.4)
    radii = np.array([radius(real, i, 3) for i in range(len(real))])
    expected = [
        max(
            rad / distance(g, r)
            for r, rad in zip(real, radii, strict=True)
            if rad <= np.median(radii)
        )
        for g in generated
    ]
    found = manifold_membership(features_query=generated, features_reference=real, num_neighbors=3)
    np.testing.assert_allclose(found.realism, expected, rtol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = normal(60), normal(80, shift=0.5)

    def both() -> tuple[ManifoldScores, np.ndarray]:
        return (
            manifold_scores(features_real=real, features_generated=generated, num_neighbors=3),
            manifold_membership(
                features_query=generated, features_reference=real, num_neighbors=3
            ).realism,
        )

    whole = both()
    monkeypatch.setattr(manifold, "_BLOCK_ENTRIES", 200)
    in_blocks = both()
    assert in_blocks[0] == whole[0]
    np.testing.assert_allclose(in_blocks[1], whole[1], rtol=1e-9)


@pytest.mark.parametrize(
    ("real", "generated", "k", "message"),
    [
        pytest.param(normal(3), normal(9), 3, "number of features_real, got 3 for 3", id="real"),
        pytest.param(normal(9), normal(2), 3, "features_generated, got 3 for 2", id="generated"),
        pytest.param(normal(9), normal(9), 0, "at least 1", id="no neighbour"),
        pytest.param(normal(9), normal(9, 4), 3, r"one width, got \(9, 8\) and \(9, 4\)", id="D"),
        pytest.param(normal(9) * np.nan, normal(9), 3, "must be finite", id="NaN"),
        pytest.param(normal(0), normal(9), 3, "needs points", id="empty"),
    ],
)
def test_refuses(real: np.ndarray, generated: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manifold_scores(features_real=real, features_generated=generated, num_neighbors=k)


def test_no_query_and_nothing_generated() -> None:
    real, none = normal(9), normal(0)
    assert not covered_points(features_real=real, features_generated=none, num_neighbors=3).any()
    found = manifold_membership(features_query=none, features_reference=real, num_neighbors=3)
    assert found.inside.shape == found.realism.shape == (0,)
