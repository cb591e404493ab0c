"""Recipes: what one assignment of a space's choices comes to, and whether two are the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from pydantic import JsonValue, TypeAdapter, ValidationError

from synthdata.config import ExperimentConfig
from synthdata.config.arms import ArmConfig, Extra, Mixture, resolve_arm
from synthdata.config.load import list_problems
from synthdata.config.pools import REAL, PoolConfig, builds_on, pool_order
from synthdata.config.search import CHOOSE, FAMILIES, Family, SpaceConfig
from synthdata.errors import ConfigError
from synthdata.files import sha256_json
from synthdata.plan import resolve_pool

Choose = Callable[[str, Sequence[JsonValue]], int]
_POOLS: Final = TypeAdapter[dict[str, PoolConfig]](dict[str, PoolConfig])
_ROLES: Final = dict(zip(FAMILIES, ("free", "candidate"), strict=True))
_DIGEST_LENGTH: Final = 8


@dataclass(frozen=True)
class Recipe:
    """An arm, and the pools that it is made of.

    Pools are called by their kind and a digest of their settings, so that recipes of one space or
    several share what is the same, and equal recipes have equal digests.

    Attributes:
        arm: Without role, twin and title.
        pools: Those that the arm uses, and those that these build on, each after these.
    """

    arm: ArmConfig
    pools: Mapping[str, PoolConfig]

    @classmethod
    def of(cls, arm: ArmConfig, pools: Mapping[str, PoolConfig], config: ExperimentConfig) -> Self:
        """Return the recipe of an arm.

        Args:
            arm: The arm.
            pools: Where it finds its pools by name.
            config: The experiment, whose layouts say how many images a pool has by default.

        Raises:
            ValueError: If a pool is missing, or builds on itself by way of others.
        """
        if REAL in pools:
            raise ValueError(f"no pool can be called {REAL!r}, as the real train images are")
        unknown = sorted(arm.pools - set(pools))
        if unknown:
            raise ValueError(f"it names pool {unknown[0]!r}, there is {sorted(pools)}")
        names: dict[str, str] = {}
        kept: dict[str, PoolConfig] = {}
        for name in pool_order(pools, arm.pools):
            pool = resolve_pool(pools[name], config)
            below = builds_on(pool)
            if below is not None:
                pool = pool.model_copy(update={"onto": names[below]})
            digest = sha256_json(pool.model_dump(mode="json"))
            names[name] = f"{pool.kind}-{digest[:_DIGEST_LENGTH]}"
            kept[names[name]] = pool
        bare = {"role": None, "twin": None, "title": None}
        return cls(change_extras(arm, names).model_copy(update=bare), kept)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the recipe that `to_json` gave."""
        arm = ArmConfig.model_validate(values["arm"])
        return cls(arm, _POOLS.validate_python(values["pools"]))

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON has it."""
        return {
            "arm": self.arm.model_dump(mode="json"),
            "pools": {name: pool.model_dump(mode="json") for name, pool in self.pools.items()},
        }

    @cached_property
    def digest(self) -> str:
        """Digest of all that the recipe is."""
        return sha256_json(self.to_json())

    @property
    def family(self) -> Family | None:
        """The family that it belongs to; None where it sees real images that others must not."""
        role = resolve_arm("recipe", self.arm, self.pools).role
        return next((family for family, of in _ROLES.items() if of == role), None)


def change_extras(arm: ArmConfig, names: Mapping[str, str]) -> ArmConfig:
    """Return an arm that takes its extra images from other pools.

    Args:
        arm: The arm.
        names: New names by those that it has; one that is missing is taken away. Where two become
            one, their shares are added, and the rest is the first one's.
    """

    def change(mixture: Mixture) -> dict[str, Any]:
        extra: dict[str, Extra] = {}
        for name, part in mixture.extra.items():
            if name in names:
                other = extra.get(names[name])
                sums = {"share": min(1.0, other.share + part.share)} if other else {}
                extra[names[name]] = (other or part).model_copy(update=sums)
        return {"extra": extra}

    phases = tuple(phase.model_copy(update=change(phase)) for phase in arm.phases)
    return arm.model_copy(update=change(arm) | {"phases": phases})


def assign(value: JsonValue, choose: Choose, path: str) -> JsonValue:
    """Return a value of a space with each of its choices made, those in what is chosen too.

    Args:
        value: A part of a space.
        choose: Gets a choice's path and its options, and returns an option's index.
        path: Of the part, dotted.
    """
    if isinstance(value, list):
        return [assign(part, choose, f"{path}[{index}]") for index, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    options = value.get(CHOOSE)
    if isinstance(options, list):
        index = choose(path, options)
        return assign(options[index], choose, f"{path}={index}")
    return {key: assign(part, choose, f"{path}.{key}") for key, part in value.items()}


def make_recipe(
    space: SpaceConfig, choose: Choose, config: ExperimentConfig, *, path: str
) -> Recipe:
    """Return the recipe of one assignment.

    Args:
        space: The space.
        choose: As `assign` has it.
        config: The experiment; the arm may use its pools too.
        path: What choices and errors call the space.

    Raises:
        ConfigError: If an arm or pool isn't valid, or belongs to another family.
    """
    arm = assign(space.arm, choose, f"{path}.arm")
    pools = assign(space.pools, choose, f"{path}.pools")
    try:
        recipe = Recipe.of(
            ArmConfig.model_validate(arm),
            {**config.pools, **_POOLS.validate_python(pools)},
            config,
        )
        family = recipe.family
    except ValidationError as error:
        raise ConfigError(f"{path} gives {arm} with {pools}: {list_problems(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path} gives {arm} with {pools}: {error}") from None
    if family != space.family:
        raise ConfigError(
            f"{path} is of family {space.family}, and gives {arm}, which is "
            f"{family or 'a ceiling'}: `free` has what the real images give alone, `synthetic` has "
            "images that a model made or that a folder holds; give it a space of its own"
        )
    return recipe
