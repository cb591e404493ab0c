import numpy as np
import pandas as pd
import pytest

from synthdata.errors import SynthdataError
from synthdata.verdict import recovered_fraction


def frame(**scores: tuple[float, ...]) -> pd.DataFrame:
    rows = [
        (arm, seed, value) for arm, values in scores.items() for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "map50_95"])


def test_is_the_share_of_the_ceilings_gain() -> None:
    results = frame(plain=(0.4, 0.5), extra=(0.45, 0.55), worse=(0.4, 0.35), all_real=(0.5, 0.7))
    assert recovered_fraction(results, reference="plain", ceiling="all_real") == {
        "extra": pytest.approx(0.05 / 0.15),
        "worse": pytest.approx(-0.075 / 0.15),
    }


def test_is_nan_where_the_ceiling_does_not_gain() -> None:
    results = frame(plain=(0.4, 0.5), extra=(0.45, 0.55), all_real=(0.4, 0.4))
    found = recovered_fraction(results, reference="plain", ceiling="all_real")
    assert np.isnan(found["extra"])


def test_refuses_a_missing_ceiling() -> None:
    results = frame(plain=(0.4, 0.5), extra=(0.45, 0.55))
    with pytest.raises(SynthdataError, match="no arm 'all_real'"):
        recovered_fraction(results, reference="plain", ceiling="all_real")
    with pytest.raises(SynthdataError, match="two arms"):
        recovered_fraction(results, reference="plain", ceiling="plain")
