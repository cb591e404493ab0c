"""Which of several arms to take: the cheapest of those that may well be the best.

The arm with the highest mean owes some of it to luck. One that lies within a standard error of it
may be as good, so that the cheapest of these is taken: the one-standard-error rule of L. Breiman,
J. Friedman, R. Olshen and C. Stone, Classification and Regression Trees, 1984, section 3.4.3, with
the standard error of the paired difference.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from synthdata.errors import SynthdataError
from synthdata.verdict.pairs import paired_scores


def choose_arm(results: pd.DataFrame, *, arms: Sequence[str]) -> str:
    """Return the cheapest arm within one standard error of the best.

    Args:
        results: Columns `arm`, `seed`, `map50_95`, one row for each arm and seed.
        arms: To choose from, cheapest first.

    Returns:
        The first arm whose mean lies below the highest by no more than the standard error, over
        seeds, of its paired difference to that one. With one seed there is no such error, and it
        is the first of the arms with the highest score.

    Raises:
        SynthdataError: As `paired_scores`, or if there is no arm to choose from.
    """
    if not arms:
        raise SynthdataError("there must be at least one arm to choose from, got none")
    return cheapest_of_best(paired_scores(results, arms))


def cheapest_of_best(scores: pd.DataFrame) -> str:
    """Return the arm that `choose_arm` does.

    Args:
        scores: A row for each seed and a column for each arm, cheapest first.
    """
    best = scores.mean().idxmax()  # the first of equal ones
    behind = scores.rsub(scores[best], axis=0)
    error = np.nan_to_num(behind.sem())  # NaN with one seed
    near = behind.mean().to_numpy() <= error
    return str(scores.columns[int(np.argmax(near))])
