"""A setting that tells from file names which images belong together."""

import re
from typing import Annotated

from pydantic import AfterValidator


def _has_one_group(pattern: str) -> str:
    try:
        num_groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"must be a regular expression, got {pattern!r}: {error}") from error
    if num_groups != 1:
        raise ValueError(
            "must have one group in parentheses, which names what an image belongs to, such as "
            rf"'(slide\d+)_'; got {num_groups} in {pattern!r}"
        )
    return pattern


GroupPattern = Annotated[str, AfterValidator(_has_one_group)]
