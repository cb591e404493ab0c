"""The `version` section: the arms, as data sets."""

from pathlib import Path
from typing import Literal

from synthdata.config.base import Fraction, PositiveInt, StageSection

ArmName = Literal[
    "real", "copy_paste", "synthetic", "synthetic_filtered", "synthetic_random_drop", "oracle"
]


class VersionConfig(StageSection):
    """Writes each arm as a data set and versions it.

    Attributes:
        arms: Which; `real` is the reference and must be among them.
        list_length: Images in an arm's training list, filled by repeats, the same for all
            arms and a multiple of the detector's batch: equal work.
        extra_fraction: Share of the list that an arm's extra images fill; the real train
            images fill the rest. Not used by `real` and `oracle`.
        dvc: Whether the arms are added to DVC (a repository is made where there is none).
        remote: Folder or URL of the DVC remote; None keeps the embedded local one.
    """

    arms: tuple[ArmName, ...] = (
        "real", "copy_paste", "synthetic", "synthetic_filtered", "synthetic_random_drop",
    )  # fmt: skip
    list_length: PositiveInt = 352
    extra_fraction: Fraction = 0.5
    dvc: bool = True
    remote: Path | str | None = None
