"""Scores paired by seed: the check of what comes in, and the differences."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from synthdata.errors import SynthdataError

_COLUMNS = ("arm", "seed", "map50_95")


def paired_scores(results: pd.DataFrame, arms: Iterable[str]) -> pd.DataFrame:
    """Return scores with a row for each seed, in order, and a column for each of `arms`.

    Rows of other arms are left out unseen: they take no part in what is compared.

    Args:
        results: Columns `arm`, `seed`, `map50_95`, one row for each arm and seed.
        arms: Which; each once or more.

    Raises:
        SynthdataError: If a column, an arm or a pair is missing, an arm has a seed twice, or a
            score isn't finite.
    """
    missing = set(_COLUMNS) - set(results.columns)
    if missing:
        raise SynthdataError(f"results lack the columns {sorted(missing)}")
    wanted = list(dict.fromkeys(arms))
    present = list(dict.fromkeys(results["arm"]))
    for arm in wanted:
        if arm not in present:
            raise SynthdataError(f"there is no arm {arm!r} to compare with, only {present}")
    known = results.loc[results["arm"].isin(wanted), list(_COLUMNS)]
    known = known.astype({"map50_95": np.float64})
    _check_rows(known)
    wide = known.pivot(index="seed", columns="arm", values="map50_95")[wanted]
    for arm in wanted:
        lacking = wide.index[wide[arm].isna()].tolist()
        if lacking:
            raise SynthdataError(
                f"arm {arm!r} lacks seeds {lacking}; pairs need every arm at every seed"
            )
    return wide


def _check_rows(known: pd.DataFrame) -> None:
    twice = known[known.duplicated(["arm", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise SynthdataError(f"arm {first['arm']!r} has seed {first['seed']} twice")
    bad = known[~np.isfinite(known["map50_95"])]
    if len(bad):
        first = bad.iloc[0]
        raise SynthdataError(
            f"map50_95 of arm {first['arm']!r}, seed {first['seed']} must be finite, got "
            f"{first['map50_95']}"
        )
