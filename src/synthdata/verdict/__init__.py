"""The statistics of a verdict: pure functions that read no file and render nothing.

`compare_arms` judges named contrasts between arms as one family, `image_variance` says what the
choice of evaluation images adds to their uncertainty, and `recovered_fraction` sets gains beside
a ceiling's.
"""

from synthdata.verdict.contrasts import ContrastResult, compare_arms, compare_contrasts
from synthdata.verdict.family import Rule, Verdict
from synthdata.verdict.images import image_variance
from synthdata.verdict.recovered import recovered_fraction

__all__ = [
    "ContrastResult",
    "Rule",
    "Verdict",
    "compare_arms",
    "compare_contrasts",
    "image_variance",
    "recovered_fraction",
]
