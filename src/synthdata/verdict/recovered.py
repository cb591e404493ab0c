"""How much of what more real data would bring an arm brings."""

import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.verdict.pairs import paired_scores


def recovered_fraction(results: pd.DataFrame, *, reference: str, ceiling: str) -> dict[str, float]:
    """Return how much of the ceiling's gain each arm brings: 1 is all of it.

    The arm's mean gain over the reference, divided by the ceiling's. It is shown, never tested.

    Args:
        results: Columns `arm`, `seed`, `map50_95`; every arm at every seed.
        reference: The arm without additions.
        ceiling: The arm with the real data that were held back.

    Returns:
        Arm to its fraction, for every arm but these two, in the order of `results`; below 0
        where an arm loses, NaN where the ceiling doesn't gain.

    Raises:
        SynthdataError: As `paired_scores`, or if reference and ceiling are one arm.
    """
    if reference == ceiling:
        raise SynthdataError(f"reference and ceiling must be two arms, got {ceiling!r} for both")
    arms = results["arm"] if "arm" in results.columns else ()
    means = paired_scores(results, [reference, ceiling, *arms]).mean()
    full = float(means[ceiling] - means[reference])
    return {
        str(arm): float(mean - means[reference]) / full if full > 0 else float("nan")
        for arm, mean in means.items()
        if arm not in (reference, ceiling)
    }
