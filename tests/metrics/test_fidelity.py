import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from synthdata.errors import ConfigError
from synthdata.features.boxes import BoxFeatures
from synthdata.metrics.fidelity import fid, inception_score, kid

RNG = np.random.default_rng(0)
WIDTH = 12  # of BCCD's features where a covariance is needed


def normal(num: int, width: int = 8, *, shift: float = 0, std: float = 1) -> np.ndarray:
    return (RNG.normal(0, std, (num, width)) + shift).astype(np.float32)


def modes(centres: list[float], num: int) -> np.ndarray:
    return np.concatenate([normal(num, shift=centre, std=0.3) for centre in centres])


def projected(features: np.ndarray) -> np.ndarray:
    projection = np.random.default_rng(1).normal(size=(features.shape[1], WIDTH))
    return (features @ projection).astype(np.float32)


def of_class(cells: BoxFeatures, class_id: int) -> np.ndarray:
    return cells.features[cells.class_id == class_id]


def halves(cells: BoxFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Red cells of odd and of even images."""
    red = cells.select(cells.class_id == 0)
    return red.features[red.image % 2 == 0], red.features[red.image % 2 == 1]


def fid_by_formula(a: np.ndarray, b: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6."""
    mean_a, mean_b = a.mean(axis=0, dtype=np.float64), b.mean(axis=0, dtype=np.float64)
    cov_a = (a - mean_a).T @ (a - mean_a) / (len(a) - 1)
    cov_b = (b - mean_b).T @ (b - mean_b) / (len(b) - 1)
    root = sqrtm(cov_a @ cov_b)
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root.real))


def kid_by_formula(a: np.ndarray, b: np.ndarray) -> float:
    """Bińkowski et al. 2018, equation 4 with section 4's kernel."""

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x.astype(np.float64) @ y.T.astype(np.float64) / x.shape[1] + 1) ** 3

    def within(x: np.ndarray) -> float:
        pairs = ~np.eye(len(x), dtype=bool)
        return float(kernel(x, x)[pairs].sum() / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def score_by_formula(probabilities: np.ndarray) -> float:
    """Salimans et al. 2016, section 4."""
    marginal = probabilities.mean(axis=0)
    return float(np.exp((probabilities * np.log(probabilities / marginal)).sum(axis=1).mean()))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def test_fid_is_the_papers(cells: BoxFeatures) -> None:
    pairs = [
        (normal(60), normal(40, shift=0.4, std=0.7)),
        (normal(9) + 1000, normal(9) + 1000),  # far from 0, hardly more than the width
        (projected(of_class(cells, 0)), projected(of_class(cells, 1))),
        tuple(map(projected, halves(cells))),
    ]
    for real, generated in pairs:
        found = fid(features_real=real, features_generated=generated)
        assert found == pytest.approx(fid_by_formula(real, generated), rel=1e-4)
        swapped = fid(features_real=generated, features_generated=real)
        assert swapped == pytest.approx(found, rel=1e-6)
    assert fid(features_real=real, features_generated=real) == pytest.approx(0, abs=1e-6)


def test_kid_is_the_papers(cells: BoxFeatures) -> None:
    pairs = [
        (normal(50), normal(50, shift=0.3)),
        (of_class(cells, 0)[:40], of_class(cells, 1)[:40]),
        tuple(part[:100] for part in halves(cells)),
    ]
    for real, generated in pairs:
        mean, std = kid(
            features_real=real, features_generated=generated, seed=0, subset_size=len(real),
            num_subsets=2,
        )  # fmt: skip
        assert mean == pytest.approx(kid_by_formula(real, generated), rel=1e-6)
        assert std == pytest.approx(0, abs=1e-9)


def test_kid_draws_subsets() -> None:
    real, generated = normal(60), normal(45, shift=0.5)
    mean, std = kid(features_real=real, features_generated=generated, seed=3, num_subsets=300)
    rng = np.random.default_rng(0)
    drawn = [
        kid_by_formula(
            real[rng.choice(60, 22, replace=False)], generated[rng.choice(45, 22, replace=False)]
        )
        for _ in range(300)
    ]
    assert mean == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 300**0.5)
    assert std == pytest.approx(np.std(drawn), rel=0.2)


def test_inception_score_is_the_papers(cells: BoxFeatures) -> None:
    for logits in (normal(50, 7, std=2), projected(cells.features)[:101] / 10):
        whole = inception_score(logits, seed=0, num_splits=1)
        assert whole[0] == pytest.approx(score_by_formula(softmax(logits)), rel=1e-6)
        assert whole[1] == 0
        rng = np.random.RandomState(5)  # torch-fidelity's generator
        dealt = softmax(logits)[rng.permutation(len(logits))]
        ends = [i * len(logits) // 4 for i in range(5)]
        scores = [score_by_formula(dealt[a:b]) for a, b in pairwise(ends)]
        found = inception_score(logits, seed=5, num_splits=4)
        assert found == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-6)


def test_inception_score_of_sure_and_of_unsure_classifiers() -> None:
    sure = np.eye(5, dtype=np.float32)[np.arange(40) % 5] * 5000
    assert inception_score(sure, seed=0, num_splits=1)[0] == pytest.approx(5)
    assert inception_score(sure[::5], seed=0, num_splits=1)[0] == pytest.approx(1)
    assert inception_score(sure * 0, seed=0, num_splits=1)[0] == pytest.approx(1)


def test_mode_collapse_costs_more_than_another_sample() -> None:
    real, other, collapsed = modes([0, 4, 8], 40), modes([0, 4, 8], 40), modes([4], 120)
    near = fid(features_real=real, features_generated=other)
    assert fid(features_real=real, features_generated=collapsed) > 50 * near
    spread = kid(features_real=real, features_generated=other, seed=0)
    lost = kid(features_real=real, features_generated=collapsed, seed=0)
    assert lost[0] > abs(spread[0]) + 10 * spread[1]


def test_halves_of_a_real_set_are_nearly_alike(cells: BoxFeatures) -> None:
    a, b = halves(cells)
    white = of_class(cells, 1)
    mean, std = kid(features_real=a, features_generated=b, seed=0, subset_size=len(white))
    assert abs(mean) < 2 * std
    apart, _ = kid(features_real=a, features_generated=white, seed=0, subset_size=len(white))
    assert apart > 10 * abs(mean)
    alike = fid(features_real=projected(a), features_generated=projected(b))
    assert fid(features_real=projected(a), features_generated=projected(white)) > 10 * alike


def test_kid_of_one_distribution_is_0_on_average_and_not_clipped() -> None:
    found = [
        kid(features_real=normal(20), features_generated=normal(20), seed=0, num_subsets=5)[0]
        for _ in range(60)
    ]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / 60**0.5


def test_seeds_and_order() -> None:
    real, generated = normal(40), normal(40, shift=0.2)

    def three(seed: int, order: slice = slice(None)) -> tuple[float, ...]:
        a, b = real[order], generated[order]
        return (
            fid(features_real=a, features_generated=b),
            *kid(features_real=a, features_generated=b, seed=seed, subset_size=20),
            *inception_score(b, seed=seed, num_splits=5),
        )

    np.random.seed(1)  # noqa: NPY002  # the global state that must not change
    torch.manual_seed(1)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert three(0) == three(0)
    assert three(0) == three(2**32)  # seeds of the project have 63 bits, the library's 32
    assert three(0)[1:] != three(1)[1:]
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
    whole = {
        kid(features_real=real[o], features_generated=generated[o], seed=0, subset_size=40)[0]
        for o in (slice(None), slice(None, None, -1))
    }
    assert max(whole) == pytest.approx(min(whole), rel=1e-9)
    assert three(0, slice(None, None, -1))[0] == pytest.approx(three(0)[0], rel=1e-9)


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        pytest.param(normal(8), normal(9), "singular below; got (8, 8) and (9, 8)", id="real"),
        pytest.param(normal(9), normal(8), "singular below; got (9, 8) and (8, 8)", id="made"),
        pytest.param(normal(9, 1), normal(9, 1), "at least 2 numbers", id="one number"),
        pytest.param(normal(9), normal(9, 4), "one width, got (9, 8) and (9, 4)", id="width"),
        pytest.param(normal(9)[0], normal(9), "one width, got (8,)", id="one vector"),
        pytest.param(normal(9) * np.nan, normal(9), "must be finite", id="NaN"),
        pytest.param(normal(9), normal(9) * np.inf, "must be finite", id="infinity"),
    ],
)
def test_fid_refuses(real: np.ndarray, generated: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fid(features_real=real, features_generated=generated)


@pytest.mark.parametrize("size", [1, 10])
def test_kid_refuses_a_subset_that_it_can_not_draw(size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size} for 20 real and 9 generated"):
        kid(features_real=normal(20), features_generated=normal(9), seed=0, subset_size=size)
    with pytest.raises(ValueError, match="must be finite"):
        kid(features_real=normal(9) * np.nan, features_generated=normal(9), seed=0)
    with pytest.raises(ValueError, match="one width"):
        kid(features_real=normal(9), features_generated=normal(9, 4), seed=0)


def test_inception_score_refuses() -> None:
    with pytest.raises(ValueError, match="got 10 for 9"):
        inception_score(normal(9), seed=0)
    with pytest.raises(ValueError, match="must be finite"):
        inception_score(normal(20) * np.nan, seed=0)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.metric_fid", None)
    with pytest.raises(ConfigError, match=r"needs torch_fidelity.*: pip install 'synthdata\[feat"):
        fid(features_real=normal(9), features_generated=normal(9))


def test_the_library_is_loaded_when_it_is_used() -> None:
    code = "import sys, synthdata.metrics.measures; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
