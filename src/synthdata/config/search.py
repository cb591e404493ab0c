"""The `search` section: which recipes `synthdata search` tries, and how long each is trained."""

from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from synthdata.config.base import PositiveInt, Section

CHOOSE: Final = "choose"
FIRST_DEVELOPMENT_SEED: Final = 100
Family = Literal["free", "synthetic"]
FREE: Final = "free"
SYNTHETIC: Final = "synthetic"
FAMILIES: Final[tuple[Family, ...]] = (FREE, SYNTHETIC)


class RungConfig(Section):
    """One round of the search.

    Attributes:
        epochs: Of each training, in the place of `train.epochs`.
        seeds: Repetitions: the first so many of `search.seeds`.
    """

    epochs: PositiveInt
    seeds: PositiveInt = 1


class SpaceConfig(Section):
    """Recipes of one family: an arm and its pools, in which `{choose: [...]}` may stand anywhere.

    Attributes:
        family: `free` has what the real images give alone, `synthetic` has images that a model made
            or that a folder holds.
        pools: As at the top level, where the arm finds the others that it names.
        arm: As one of the top level's `arms`, without role, twin and title.
    """

    family: Family
    pools: dict[str, JsonValue] = Field(default_factory=dict)
    arm: dict[str, JsonValue]

    @model_validator(mode="after")
    def _choices_are_lists(self) -> Self:
        for part in (self.pools, self.arm):
            _check_choices(part)
        return self


def _check_choices(value: JsonValue) -> None:
    if isinstance(value, dict) and CHOOSE in value:
        options = value[CHOOSE]
        if len(value) > 1 or not isinstance(options, list) or not options:
            raise ValueError(
                f"a choice is a mapping with the one key {CHOOSE} and a list of at least one "
                f"value, got {value}"
            )
        if any(options.index(option) != place for place, option in enumerate(options)):
            raise ValueError(f"the values of a choice must differ from each other, got {options}")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _check_choices(part)


class SearchConfig(Section):
    """Tries as many free recipes as synthetic ones, on val, by successive halving.

    Attributes:
        seeds: The repetitions: draws for development, which no claim may use.
        trials: Recipes that are tried of each family.
        rungs: The rounds. Each trains longer than the one before, over as many repetitions at
            least.
        keep: Share of each family's recipes that goes on to the next rung, at least one.
        spaces: What recipes are drawn from; each family has one space or more.
    """

    seeds: Annotated[
        tuple[Annotated[int, Field(ge=FIRST_DEVELOPMENT_SEED)], ...], Field(min_length=1)
    ]
    trials: PositiveInt = 8
    rungs: Annotated[tuple[RungConfig, ...], Field(min_length=2)]
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    spaces: Annotated[tuple[SpaceConfig, ...], Field(min_length=2)]

    @field_validator("spaces")
    @classmethod
    def _families_are_both_there(cls, spaces: tuple[SpaceConfig, ...]) -> tuple[SpaceConfig, ...]:
        missing = [family for family in FAMILIES if all(one.family != family for one in spaces)]
        if missing:
            raise ValueError(f"each family needs a space, there is none of {missing[0]!r}")
        return spaces

    @model_validator(mode="after")
    def _rungs_grow(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must differ from each other, got {list(self.seeds)}")
        for below, above in pairwise(self.rungs):
            if above.epochs <= below.epochs or above.seeds < below.seeds:
                raise ValueError(
                    "each rung must have more epochs than the one before, and as many seeds at "
                    f"least; got {below.model_dump()} and then {above.model_dump()}"
                )
        if self.rungs[-1].seeds > len(self.seeds):
            raise ValueError(
                f"the last rung asks for {self.rungs[-1].seeds} seeds, seeds has {len(self.seeds)}"
            )
        return self
