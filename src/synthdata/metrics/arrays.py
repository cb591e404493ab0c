"""What metrics on features ask of their two arrays."""

import numpy as np

from synthdata.boxes import FloatArray


def check_features(features_a: FloatArray, features_b: FloatArray) -> None:
    """Accept `(N, D)` and `(M, D)` finite numbers.

    Raises:
        ValueError: If they are something else.
    """
    if features_a.ndim != 2 or features_b.ndim != 2 or features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            "features must be (N, D) and (M, D) of one width, "
            f"got {features_a.shape} and {features_b.shape}"
        )
    # The extremes tell, NaN among them, without a mask as large as the array's items.
    extremes = [
        end for one in (features_a, features_b) for end in (one.min(initial=0), one.max(initial=0))
    ]
    if not np.isfinite(extremes).all():
        raise ValueError("features must be finite, got NaN or infinity")
