"""The `version` section: the arms, as data sets."""

from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import NO_EFFECT, PositiveInt, StageSection

ArmName = Literal[
    "real", "copy_paste", "synthetic", "synthetic_filtered", "synthetic_random_drop",
    "synthetic_manifold", "synthetic_clip", "synthetic_detector", "synthetic_memorisation",
    "oracle",
]  # fmt: skip


class VersionConfig(StageSection):
    """Writes each arm as a data set and versions it.

    Attributes:
        arms: Which; `report.reference` must be among them. `synthetic_<kind>` has what the filter
            of that kind keeps alone.
        list_length: Images in an arm's training list, filled by repeats, the same for all
            arms and a multiple of the detector's batch: equal work.
        extra_fraction: Share of the list that an arm's extra images fill; the real train
            images fill the rest. Not used by `real` and `oracle`. Where a pool has more
            images than places, some are left out at random, of which the report warns.
        dvc: Whether the arms are added to DVC (a repository is made where there is none).
        remote: Folder, URL, or name (of one that is configured) of the DVC remote; None keeps
            an embedded one in the workspace.
        commit: Whether the versions' small `.dvc` files are committed to Git; otherwise they
            are only staged.
    """

    arms: tuple[ArmName, ...] = (
        "real", "copy_paste", "synthetic", "synthetic_filtered", "synthetic_random_drop",
    )  # fmt: skip
    list_length: PositiveInt = 352
    extra_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    dvc: Annotated[bool, NO_EFFECT] = True
    remote: Annotated[str | None, NO_EFFECT] = None
    commit: Annotated[bool, NO_EFFECT] = False
