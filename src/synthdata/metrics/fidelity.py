"""FID, KID and Inception Score on arrays, computed by torch-fidelity in float64.

FID: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017. KID: Bińkowski et al.,
"Demystifying MMD GANs", 2018. Inception Score: Salimans et al., "Improved Techniques for
Training GANs", 2016. FID and KID are symmetric in their two sets; their names tell the usual use.
"""

from importlib import import_module
from typing import Any, Final

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.extras import needing_features
from synthdata.metrics.arrays import check_features

_KID_SUBSET_SIZE: Final = 1000  # the paper's
# Below this, a probability is 0 in float64, and the score's 0 log 0 would be NaN.
_SMALLEST_LOGIT: Final = -700.0


def fid(*, features_real: FloatArray, features_generated: FloatArray) -> float:
    """Return the Fréchet distance of two Gaussians that are fitted to the features.

    It falls with the number of vectors, also between sets of one distribution: compare only
    sets of the same size. Rounding may leave equal sets just below 0.

    Args:
        features_real: `(N, D)`, D at least 2, N more than D.
        features_generated: `(M, D)`, M more than D.

    Returns:
        In squared units of the features; 0 is best.

    Raises:
        ValueError: If a set has too few vectors, the widths differ, or a value isn't finite.
        ConfigError: If torch-fidelity isn't installed.
    """
    check_features(features_real, features_generated)
    width = features_real.shape[1]
    if not 2 <= width < min(len(features_real), len(features_generated)):
        raise ValueError(
            "FID needs vectors of at least 2 numbers, and more vectors than that in each set: "
            f"their covariance is singular below; got {features_real.shape} and "
            f"{features_generated.shape}; give more, or project them to fewer dimensions"
        )
    library = _import("torch_fidelity.metric_fid")
    real, generated = (
        library.fid_features_to_statistics(_tensor(features))
        for features in (features_real, features_generated)
    )
    result = library.fid_statistics_to_metric(real, generated, verbose=False)
    return float(result[library.KEY_METRIC_FID])


def kid(
    *,
    features_real: FloatArray,
    features_generated: FloatArray,
    seed: int,
    subset_size: int | None = None,
    num_subsets: int = 100,
) -> tuple[float, float]:
    """Return the mean and the standard deviation of KID over random subsets.

    KID is the unbiased squared MMD with the kernel `(x.y / D + 1)^3`: near 0 it may be negative,
    and is not clipped. The deviation is between subsets, which overlap; it is not the mean's
    standard error.

    Args:
        features_real: `(N, D)`.
        features_generated: `(M, D)`.
        seed: Of the subsets; no global random state is used.
        subset_size: Vectors drawn from each set, without replacement, at least 2. By default
            half of the smaller set, at most 1,000. With all vectors of both sets one subset
            is enough.
        num_subsets: How often.

    Returns:
        Both in the kernel's unit; a mean of 0 is best.

    Raises:
        ValueError: If a set has fewer vectors than a subset, the widths differ, or a value
            isn't finite.
        ConfigError: If torch-fidelity isn't installed.
    """
    check_features(features_real, features_generated)
    fewest = min(len(features_real), len(features_generated))
    size = min(_KID_SUBSET_SIZE, fewest // 2) if subset_size is None else subset_size
    if not 2 <= size <= fewest:
        raise ValueError(
            "KID's subset_size must be at least 2 and at most the size of the smaller set, "
            f"got {size} for {len(features_real)} real and {len(features_generated)} generated "
            "vectors; give more"
        )
    library = _import("torch_fidelity.metric_kid")
    result = library.kid_features_to_metric(
        _tensor(features_real),
        _tensor(features_generated),
        kid_subset_size=size,
        kid_subsets=num_subsets,
        rng_seed=_seed32(seed),
        verbose=False,
    )
    return float(result[library.KEY_METRIC_KID_MEAN]), float(result[library.KEY_METRIC_KID_STD])


def inception_score(logits: FloatArray, *, seed: int, num_splits: int = 10) -> tuple[float, float]:
    """Return the mean and the standard deviation of the Inception Score over splits.

    It looks at generated images only, and grows with their number until the classes' mean
    probabilities are known: compare only sets of the same size.

    Args:
        logits: `(N, C)`, a classifier's, before the softmax.
        seed: Of the order in which items are dealt to splits.
        num_splits: Parts that are scored each for itself, at most N.

    Returns:
        The mean is in [1, C], more is better.

    Raises:
        ValueError: If logits aren't `(N, C)` or finite, or are fewer than the splits.
        ConfigError: If torch-fidelity isn't installed.
    """
    check_features(logits, logits)
    if not 1 <= num_splits <= len(logits):
        raise ValueError(
            f"num_splits must be at least 1 and at most the number of logits, got {num_splits} "
            f"for {len(logits)}; lower it, or give more"
        )
    library = _import("torch_fidelity.metric_isc")
    shifted = logits - logits.max(axis=1, keepdims=True)
    result = library.isc_features_to_metric(
        _tensor(np.maximum(shifted, _SMALLEST_LOGIT)), splits=num_splits, rng_seed=_seed32(seed)
    )
    return float(result[library.KEY_METRIC_ISC_MEAN]), float(result[library.KEY_METRIC_ISC_STD])


def _import(name: str) -> Any:  # noqa: ANN401  # torch-fidelity has no types
    """Return a module that is too heavy, or too rarely installed, to import with this one."""
    with needing_features("FID, KID or Inception Score"):
        return import_module(name)


def _tensor(features: FloatArray) -> Any:  # noqa: ANN401  # torch isn't imported here
    return _import("torch").from_numpy(features.astype(np.float64))


def _seed32(seed: int) -> int:
    """Return the seed as NumPy's older generator takes it; ours have up to 63 bits."""
    return seed % 2**32
