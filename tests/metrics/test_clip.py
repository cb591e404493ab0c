import math

import numpy as np
import pytest

from synthdata.features.boxes import BoxFeatures
from synthdata.metrics import clip
from synthdata.metrics.clip import clip_score, cmmd

RNG = np.random.default_rng(0)


def normal(num: int, width: int = 8, *, shift: float = 0) -> np.ndarray:
    return (RNG.normal(size=(num, width)) + shift).astype(np.float32)


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """Gaussian, sigma 10, of vectors scaled to length 1."""
    a, b = (x.astype(np.float64) / math.sqrt((x.astype(np.float64) ** 2).sum()) for x in (a, b))
    return math.exp(-((a - b) ** 2).sum() / (2 * 10**2))


def cmmd_by_formula(real: np.ndarray, generated: np.ndarray) -> float:
    """Jayasumana et al. 2024, the unbiased estimator with its kernel, times 1,000; pair by pair."""

    def within(x: np.ndarray) -> float:
        pairs = [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
        return sum(pairs) / (len(x) * (len(x) - 1))

    between = [kernel(a, b) for a in real for b in generated]
    return 1000 * (within(real) + within(generated) - 2 * sum(between) / len(between))


def cmmd_with_diagonals(real: np.ndarray, generated: np.ndarray) -> float:
    """As the paper's public code has it."""

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([[kernel(a, b) for b in y] for a in x]))

    return 1000 * (mean(real, real) + mean(generated, generated) - 2 * mean(real, generated))


def test_cmmd_is_the_papers(cells: BoxFeatures) -> None:
    red, white = (cells.features[cells.class_id == i][:25] for i in (0, 1))
    for real, generated in [(normal(30), normal(20, shift=0.5)), (red, white), (red, red[::-1])]:
        found = cmmd(features_real=real, features_generated=generated)
        assert found == pytest.approx(cmmd_by_formula(real, generated), rel=1e-6, abs=1e-9)
        assert cmmd(features_real=generated, features_generated=real) == pytest.approx(found)


def test_on_few_vectors_the_public_codes_diagonals_outweigh_the_noise() -> None:
    pairs = [(normal(12), normal(12)) for _ in range(12)]
    unbiased = [cmmd(features_real=a, features_generated=b) for a, b in pairs]
    biased = [cmmd_with_diagonals(a, b) for a, b in pairs]
    assert min(unbiased) < 0
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / 12**0.5
    assert min(biased) > 0
    assert np.mean(biased) > np.std(unbiased)


def test_cmmd_sees_mode_collapse_and_not_length() -> None:
    centres = np.eye(8, dtype=np.float32) * 4
    real, other = (np.concatenate([normal(20) + c for c in centres[:4]]) for _ in range(2))
    collapsed = normal(80) + centres[0]
    near = cmmd(features_real=real, features_generated=other)
    assert cmmd(features_real=real, features_generated=collapsed) > 20 * abs(near)
    longer = real * RNG.uniform(0.1, 10, (80, 1)).astype(np.float32)
    found = cmmd(features_real=longer, features_generated=other)
    assert found == pytest.approx(near, rel=1e-3, abs=1e-4)


def test_halves_of_a_real_set_are_nearly_alike(cells: BoxFeatures) -> None:
    red = cells.select(cells.class_id == 0)
    a, b = (red.features[red.image % 2 == i] for i in (0, 1))
    white = cells.features[cells.class_id == 1]
    alike = cmmd(features_real=a, features_generated=b)
    assert cmmd(features_real=a, features_generated=white) > 10 * abs(alike)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = normal(60), normal(35)
    whole = cmmd(features_real=real, features_generated=generated)
    monkeypatch.setattr(clip, "_BLOCK_ENTRIES", 200)
    in_blocks = cmmd(features_real=real, features_generated=generated)
    assert in_blocks == pytest.approx(whole, rel=1e-9)


def test_clip_score_is_the_papers_times_40() -> None:
    images, texts = normal(30), normal(30, shift=0.3)
    found = clip_score(image_features=images, text_features=texts)
    for image, text, score in zip(images, texts, found, strict=True):
        cosine = image @ text / np.sqrt((image @ image) * (text @ text))
        assert score == pytest.approx(40 * 2.5 * max(cosine, 0), rel=1e-5, abs=1e-5)
    assert (found == 0).any()
    itself = clip_score(image_features=images, text_features=images * 7)
    np.testing.assert_allclose(itself, 100)
    assert itself.max() <= 100


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        pytest.param(normal(1), normal(9), "got 1 real and 9 generated", id="one"),
        pytest.param(normal(9), normal(9, 4), r"one width, got \(9, 8\) and \(9, 4\)", id="width"),
        pytest.param(normal(9), normal(9) * np.nan, "must be finite", id="NaN"),
        pytest.param(normal(9) * 0, normal(9), "a vector of zeros", id="zeros"),
    ],
)
def test_cmmd_refuses(real: np.ndarray, generated: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cmmd(features_real=real, features_generated=generated)


def test_clip_score_refuses_images_without_texts() -> None:
    with pytest.raises(ValueError, match="got 9 images and 8 texts"):
        clip_score(image_features=normal(9), text_features=normal(8))
