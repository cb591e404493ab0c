"""The `version` section: the arms, as data sets."""

from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.arms import ArmConfig
from synthdata.config.base import NO_EFFECT, PositiveInt, StageSection
from synthdata.config.evaluation import ShiftedName, ShiftedSetConfig


class VersionConfig(StageSection):
    """Writes each arm as a data set and versions it.

    Attributes:
        list_length: Images in each training list, filled by repeats, the same for all arms: equal
            work. A multiple of the detector's batch, with room for every real image of every arm.
            `auto` is the shortest that has room for every extra image too; where a number has
            not, some of these are left out at random, of which the report warns.
        dvc: Whether the arms are added to DVC (a repository is made where there is none).
        remote: Folder, URL, or name (of one that is configured) of the DVC remote; None keeps
            an embedded one in the workspace.
        commit: Whether the versions' small `.dvc` files are committed to Git; otherwise they
            are only staged.
        arms: The recipes; the plan sets them from the top level, a YAML never does.
        batch_size: The detector's; the plan sets it, a YAML never does.
        shifted: The shifted evaluation sets; the plan takes them from `evaluation.shifted`, a YAML
            never sets them here.
    """

    list_length: PositiveInt | Literal["auto"] = "auto"
    dvc: Annotated[bool, NO_EFFECT] = True
    remote: Annotated[str | None, NO_EFFECT] = None
    commit: Annotated[bool, NO_EFFECT] = False
    arms: dict[str, ArmConfig] = Field(default_factory=dict)
    batch_size: PositiveInt = 1
    shifted: dict[ShiftedName, ShiftedSetConfig] = Field(default_factory=dict)
