import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from sklearn.datasets import load_breast_cancer
from torch_fidelity.metric_prc import prc_features_to_metric

from synthdata.config.encoder import EfficientNetConfig
from synthdata.features import build_encoder
from synthdata.features.crops import CropSettings, square_crops
from synthdata.formats.assemble import assemble
from synthdata.formats.images import read_rgb
from synthdata.formats.registry import parse_dataset
from synthdata.metrics import ManifoldScores, manifold_scores, neighbors, pair_distances
from synthdata.metrics.manifold import covered_points, manifold_membership, nearest_distances

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_numbers_alone_and_in_any_order() -> None:
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state


def test_nearest_distances_equal_the_full_matrix() -> None:
    rng = np.random.default_rng(5)
    query, reference = rng.normal(size=(40, 7)), rng.normal(size=(300, 7))
    full = np.linalg.norm(query[:, None] - reference[None], axis=2).min(axis=1)
    found = nearest_distances(features_query=query, features_reference=reference)
    np.testing.assert_allclose(found, full)
    assert found.dtype == np.float32
    copies = nearest_distances(features_query=reference[:3], features_reference=reference)
    assert copies.tolist() == [0, 0, 0]
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


def assert_equal_to_prdc(real: np.ndarray, generated: np.ndarray, k: int) -> None:
    ours = manifold_scores(features_real=real, features_generated=generated, num_neighbors=k)
    theirs = compute_prdc(real, generated, nearest_k=k)
    assert vars(ours) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(
    ("real", "generated"),
    [
        pytest.param(normal(200, 16), normal(200, 16, shift=0.2), id="equal"),
        pytest.param(normal(333, 33), normal(90, 33, std=0.9), id="fewer generated"),
        pytest.param(normal(70, 1280), normal(257, 1280), id="fewer real, wide"),
        # Copies in one set only: prdc leaves out a point on a border, where a copy from the other
        # set would often be.
        pytest.param(np.tile(normal(60), (4, 1)), normal(100), id="real copies"),
        pytest.param(normal(100), np.tile(normal(60), (4, 1)), id="generated copies"),
        pytest.param(modes([0, 10, 20, 30], 25), modes([0], 100), id="mode collapse"),
        pytest.param(modes([0], 100), modes([0, 10, 20, 30], 25), id="mode invention"),
        pytest.param(normal(90, shift=300), normal(90, shift=300.3), id="offset"),
    ],
)
def test_equals_prdc(real: np.ndarray, generated: np.ndarray, k: int) -> None:
    assert_equal_to_prdc(real, generated, k)


def test_equals_prdc_where_scales_differ_widely() -> None:
    # Of 30 real measurements the smallest is about 0.001, the largest about 4000.
    features, malignant = load_breast_cancer(return_X_y=True)
    features = features.astype(np.float32)
    assert_equal_to_prdc(features[malignant == 0], features[malignant == 1], 5)
    assert_equal_to_prdc(features[::2], features[1::2], 5)


@pytest.fixture(scope="module")
def crop_features(bccd_mirror: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of real blood cells: each box crop's features, its class and its photograph."""
    dataset = assemble(parse_dataset(bccd_mirror / "bccd", "voc"), drop_bad_boxes=True)
    crops, classes, photographs = [], [], []
    for number, sample in enumerate(dataset.samples[:60]):
        pixels = np.asarray(read_rgb(dataset.image_path(sample)))
        crops += square_crops(pixels, sample.annotations.xyxy, CropSettings(size=48, margin=0.2))
        classes += [dataset.class_names[i] for i in sample.annotations.class_id]
        photographs += [number] * len(sample.annotations)
    features = build_encoder(EfficientNetConfig(kind="efficientnet-lite0")).encode(crops)
    return features, np.array(classes), np.array(photographs)


def test_real_features(crop_features: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, classes, photographs = crop_features
    # No photograph is in both halves: its cells are alike.
    half, other = (np.flatnonzero(photographs % 2 == i) for i in (0, 1))
    size = min(len(half), len(other))
    half, other = half[:size], other[:size]
    assert_equal_to_prdc(features[half], features[other], 5)
    assert_near_ideal(features[half], features[other])

    white = other[classes[other] == "WBC"]
    assert_equal_to_prdc(features[half], features[white], 5)
    collapsed = manifold_scores(
        features_real=features[half], features_generated=features[white], num_neighbors=5
    )
    assert collapsed.precision > 0.8
    assert collapsed.recall < 0.5
    assert collapsed.coverage < 0.2


def test_halves_of_one_set_are_near_ideal() -> None:
    points = normal(1600, 3)
    assert_near_ideal(points[::2], points[1::2])


def assert_near_ideal(half: np.ndarray, other: np.ndarray) -> None:
    scores = manifold_scores(features_real=half, features_generated=other, num_neighbors=5)
    assert min(scores.precision, scores.recall) > 0.85
    assert scores.density == pytest.approx(1, abs=0.15)
    # Naeem et al. 2020, lemma 2: for large equal sets of one distribution, 1 - 2^-k.
    assert scores.coverage == pytest.approx(1 - 2**-5, abs=0.03)


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


ODD_SETS = [
    pytest.param(np.full((20, 3), 0.3, np.float32), np.full((15, 3), 0.3, np.float32), id="one"),
    pytest.param(normal(40), np.full((30, 8), 0.03, np.float32), id="collapsed to a point"),
    pytest.param(np.repeat(modes([0, 10], 2), 12, axis=0), modes([0, 10], 20), id="copies"),
    pytest.param(normal(50), normal(50)[:25].repeat(2, axis=0), id="pairs"),
    pytest.param(
        RNG.integers(0, 3, (40, 3)).astype(np.float32),
        RNG.integers(0, 3, (40, 3)).astype(np.float32),
        id="borders",
    ),
    pytest.param(np.eye(30, dtype=np.float32), np.eye(30, dtype=np.float32) * 2, id="equidistant"),
    pytest.param(modes([0, 1000], 20) * 1e-3, modes([0, 1000], 20) * 1e-3, id="tight modes"),
    pytest.param(normal(40) + np.float32(1e6), normal(40) + np.float32(1e6), id="offset"),
    pytest.param(normal(40), normal(40, shift=1e5), id="far"),
    pytest.param(normal(40) * 1e37, normal(40) * 1e37, id="huge"),
    pytest.param(normal(40) * 1e-40, normal(40) * 1e-40, id="tiny"),
    pytest.param(
        normal(40) * np.logspace(-5, 5, 40, dtype=np.float32)[:, None],
        normal(40) * np.logspace(-5, 5, 40, dtype=np.float32)[:, None],
        id="all norms",
    ),
    pytest.param(normal(40, 1), normal(40, 1), id="one dimension"),
]


@pytest.mark.parametrize("k", [1, 4, 14])
@pytest.mark.parametrize(("real", "generated"), ODD_SETS)
def test_odd_sets_agree_with_the_papers(real: np.ndarray, generated: np.ndarray, k: int) -> None:
    ours = manifold_scores(features_real=real, features_generated=generated, num_neighbors=k)
    assert vars(ours) == pytest.approx(vars(naive_scores(real, generated, k)))


def test_near_duplicates_keep_their_distance() -> None:
    reference = normal(300, 1280, std=3)
    query = reference[::3].copy()
    query[:, 7] += np.logspace(-5, 0, 100, dtype=np.float32)
    exact = [distance(one, other) for one, other in zip(query, reference[::3], strict=True)]
    found = nearest_distances(features_query=query, features_reference=reference)
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    copied = manifold_membership(
        features_query=query, features_reference=reference, num_neighbors=1
    )
    assert copied.inside.all()


def test_membership_is_precision_sample_by_sample() -> None:
    real, generated = normal(60), normal(80, shift=0.5)
    scores = manifold_scores(features_real=real, features_generated=generated, num_neighbors=3)
    found = manifold_membership(features_query=generated, features_reference=real, num_neighbors=3)
    covered = covered_points(features_real=real, features_generated=generated, num_neighbors=3)
    assert found.inside.mean() == scores.precision
    assert found.density.mean() == pytest.approx(scores.density)
    assert covered.mean() == scores.coverage
    assert found.inside[found.realism >= 1].all()


def test_a_query_alone_has_its_values_in_the_crowd() -> None:
    real, crowd = normal(60, 40), normal(80, 40, shift=0.1)
    crowd[::7] *= 1e4  # the others' size has no part in it either
    together = manifold_membership(features_query=crowd, features_reference=real, num_neighbors=3)
    nearest = nearest_distances(features_query=crowd, features_reference=real)
    for i in range(len(crowd)):
        one = crowd[[i]]
        alone = manifold_membership(features_query=one, features_reference=real, num_neighbors=3)
        assert alone.inside[0] == together.inside[i]
        assert alone.density[0] == together.density[i]
        assert alone.realism[0] == together.realism[i]
        assert nearest_distances(features_query=one, features_reference=real)[0] == nearest[i]


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


@pytest.mark.parametrize("block", [7, 33])
@pytest.mark.parametrize(("real", "generated"), [(normal(60), normal(80, shift=0.5)), *ODD_SETS])
def test_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, real: np.ndarray, generated: np.ndarray, block: int
) -> None:
    def everything() -> list[object]:
        membership = manifold_membership(
            features_query=generated, features_reference=real, num_neighbors=3
        )
        nearest = nearest_distances(features_query=generated, features_reference=real)
        return [
            manifold_scores(features_real=real, features_generated=generated, num_neighbors=3),
            *(values.tolist() for values in vars(membership).values()),
            nearest.tolist(),
        ]

    whole = everything()
    monkeypatch.setattr(pair_distances, "_BLOCK_POINTS", block)
    monkeypatch.setattr(neighbors, "_TABLE_ENTRIES", 70)
    monkeypatch.setattr(neighbors, "_SEED_COLUMNS", 4)
    assert everything() == whole


@pytest.mark.parametrize("k", [5, 799])
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(np.full((800, 4), 0.3, np.float32), id="one point"),
        pytest.param(np.repeat(modes([0, 10], 1), 400, axis=0), id="two points"),
        pytest.param(normal(800, 4), id="all different"),
    ],
)
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, points: np.ndarray, k: int) -> None:
    monkeypatch.setattr(pair_distances, "_BLOCK_POINTS", 64)
    monkeypatch.setattr(neighbors, "_TABLE_ENTRIES", 10_000)
    tracemalloc.start()
    manifold_scores(features_real=points, features_generated=points, num_neighbors=k)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 800**2  # a matrix of float32


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
