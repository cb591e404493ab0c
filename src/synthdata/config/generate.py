"""The `generate` section: makes the images of the pools."""

from typing import Annotated

from pydantic import Field

from synthdata.config.base import NO_EFFECT, PositiveInt, StageSection
from synthdata.config.pools import PoolConfig


class GenerateConfig(StageSection):
    """Makes the images of every pool that an arm uses.

    Attributes:
        shard_size: Images between two checkpoints; an embedded model makes as many shards at
            once as there are CPU threads.
        pools: Those pools by name; the plan sets them from the top level, a YAML never does.
    """

    shard_size: Annotated[PositiveInt, NO_EFFECT] = 32
    pools: dict[str, PoolConfig] = Field(default_factory=dict)
