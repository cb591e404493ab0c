"""The statistics of a verdict: pure functions that read no file and render nothing.

`compare_arms` judges named contrasts between arms as one family, `image_variance` says what the
choice of evaluation images adds to their uncertainty, and `recovered_fraction` sets gains beside
a ceiling's. `advise` chooses an arm and says what it brings, `cross_fit` what such a choice brings.
"""

from synthdata.verdict.advice import Advice, Choice, Kind, advise, choose
from synthdata.verdict.contrasts import ContrastResult, compare_arms, compare_contrasts
from synthdata.verdict.crossfit import CrossFit, Estimate, cross_fit
from synthdata.verdict.family import Rule, Verdict
from synthdata.verdict.images import image_variance
from synthdata.verdict.recovered import recovered_fraction

__all__ = [
    "Advice",
    "Choice",
    "ContrastResult",
    "CrossFit",
    "Estimate",
    "Kind",
    "Rule",
    "Verdict",
    "advise",
    "choose",
    "compare_arms",
    "compare_contrasts",
    "cross_fit",
    "image_variance",
    "recovered_fraction",
]
