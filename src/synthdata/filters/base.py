"""What a filter gives: a score and its reason for each image. Deciding is another module."""

from dataclasses import dataclass

import pandas as pd

SCORE_COLUMNS = ("sample_id", "filter", "score", "detail")


@dataclass(frozen=True)
class ImageScore:
    """What one filter says of one image.

    Attributes:
        sample_id: The image.
        score: In [0, 1], higher is better; None where the filter can't judge the image. It
            depends on the image and the real train split only.
        detail: What was found, in words for a person.
    """

    sample_id: str
    score: float | None
    detail: str


def scores_frame(scores: dict[str, list[ImageScore]]) -> pd.DataFrame:
    """Return a row an image and filter: `sample_id, filter, score, detail`."""
    rows = [
        (score.sample_id, kind, score.score, score.detail)
        for kind, one_filter in scores.items()
        for score in one_filter
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype({"score": "float64"})
