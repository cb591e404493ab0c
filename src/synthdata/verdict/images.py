"""How much a difference between arms owes to which images they were scored on."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from synthdata.errors import SynthdataError

Float64Array = npt.NDArray[np.float64]


def image_variance(
    resampled: Mapping[str, npt.ArrayLike], *, contrasts: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], float]:
    """Return the variance that the choice of evaluation images gives each mean difference.

    All repetitions are scored on the same images, so that what an image does to a difference
    either comes back in every repetition or differs between them. The latter is in the variance
    over seeds already. The former is what two repetitions have in common: the covariance, over
    resamples, of their differences, averaged over all pairs of repetitions.

    A sample's covariance may lie below 0 where the truth is near it; 0 is given then. A single
    repetition has no pair, and its variance is given, which is too large rather than too small.

    Args:
        resampled: Arm to `(seeds, resamples)` scores, on the same resamples of the evaluation
            images for every arm and seed, as `metrics.detection.bootstrap_map` gives them. A
            resample in which a score is NaN, since no object was drawn, is left out.
        contrasts: Pairs (arm, against).

    Returns:
        (arm, against) to a variance in the squared unit of the scores.

    Raises:
        SynthdataError: If an arm is missing, the shapes differ, or a contrast has fewer than
            two resamples without NaN.
    """
    arms = dict.fromkeys(arm for contrast in contrasts for arm in contrast)
    missing = [arm for arm in arms if arm not in resampled]
    if missing:
        raise SynthdataError(f"resampled has no scores of arms {missing}, only {sorted(resampled)}")
    scores = {arm: np.asarray(resampled[arm], dtype=np.float64) for arm in arms}
    shapes = {arm: array.shape for arm, array in scores.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        raise SynthdataError(
            f"every arm needs scores of one shape (seeds, resamples), got shapes {shapes}"
        )
    return {
        (arm, against): _shared_variance(scores[arm] - scores[against], f"{arm} - {against}")
        for arm, against in contrasts
    }


def _shared_variance(differences: Float64Array, name: str) -> float:
    """Return the mean covariance of pairs of rows of `(seeds, resamples)`, at least 0."""
    known = differences[:, ~np.isnan(differences).any(axis=0)]
    num_seeds, num_resamples = known.shape
    if num_seeds < 1 or num_resamples < 2:
        raise SynthdataError(
            f"{name} needs at least one seed and two resamples with a score, got {num_seeds} and "
            f"{num_resamples}; resample more often, or evaluate on more images with objects"
        )
    covariance = np.atleast_2d(np.cov(known))
    if num_seeds == 1:
        return float(covariance[0, 0])
    between = float(covariance.sum() - np.trace(covariance))
    return float(max(between / (num_seeds * (num_seeds - 1)), 0.0))
