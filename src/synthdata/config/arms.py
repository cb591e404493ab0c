"""The `arms`: recipes of training sets. No module asks for an arm by its name."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from synthdata.config.base import PositiveFloat, Section
from synthdata.config.pools import PoolConfig, uses_folder, uses_generator

Role = Literal["reference", "free", "candidate", "ceiling"]
Sampling = Literal["even", "repeat_factor", "instance_balanced"]
KEEP_FILTERED = "filtered"
KEEP_RANDOM = "random_drop"
MAX_CONTRASTS = 4


class Extra(Section):
    """The part of a training list that a pool's images fill.

    Attributes:
        share: Of the places of the list.
        keep: Which of the pool's images: None takes all, `filtered` what the filters keep together,
            `random_drop` as many at random, a filter's kind what that one keeps alone.
        sampling: How often each image occurs, see `Mixture`.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    keep: str | None = None
    sampling: Sampling = "even"


def _share_alone(value: Any) -> Any:  # noqa: ANN401  # any YAML value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"share": value} if is_number else value


ExtraOrShare = Annotated[Extra, BeforeValidator(_share_alone)]


class Mixture(Section):
    """What one training list holds: real images, and extra ones by pool.

    Attributes:
        real: Splits of the real data; they fill what the extra images leave. `reserve` has the
            train images that the few-shot draw left out.
        sampling: How often each real image occurs. `even`: as often as any other, as nearly as
            the places allow. `repeat_factor`: more often where it shows a class that few images
            show (Gupta et al. 2019, LVIS). `instance_balanced`: more often the more objects it
            has of classes that have few.
        extra: Pool to its part; a number alone is its share.
    """

    real: Annotated[tuple[Literal["train", "reserve"], ...], Field(min_length=1)] = ("train",)
    sampling: Sampling = "even"
    extra: dict[str, ExtraOrShare] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = sum(part.share for part in self.extra.values())
        if total > 1 + 1e-9:
            raise ValueError(f"shares of extra images must sum to at most 1, got {total:g}")
        return self

    @property
    def real_share(self) -> float:
        """Share of the places that real images fill."""
        rest = 1.0 - sum(part.share for part in self.extra.values())
        return rest if rest > 1e-9 else 0.0  # 1 - .7 - .2 - .1 isn't 0


class Phase(Mixture):
    """One of several parts of a training, one after the other.

    Attributes:
        steps: Share of the optimizer steps.
        learning_rate: Factor on the detector's rate.
        replay: Share of the list that is drawn from the list of the phase before.
    """

    steps: Annotated[float, Field(gt=0, le=1)]
    learning_rate: PositiveFloat = 1.0
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ArmConfig(Mixture):
    """A training set to compare with others: a mixture, or several in turn.

    Attributes:
        title: Its name for people; None makes it from the arm's name.
        role: `reference` is what others are compared with; `free` has what the real images give
            alone; `ceiling` sees real images that the others must do without, and is shown, never
            tested; `candidate` is the rest. None follows from the recipe.
        twin: The arm that differs from this one by what it is to show, such as the random twin of
            a filter's choice.
        phases: Parts of the training in turn; the mixture above is not used then.
    """

    title: str | None = None
    role: Role | None = None
    twin: str | None = None
    phases: tuple[Phase, ...] = ()

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if not self.phases:
            return self
        total = sum(phase.steps for phase in self.phases)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the phases' steps must sum to 1, got {total:g}")
        if self.phases[0].replay:
            raise ValueError("the first phase has no phase before it to replay")
        if self.extra or self.sampling != "even" or self.real != ("train",):
            raise ValueError("with phases, state real, sampling and extra in each phase")
        return self

    def mixtures(self) -> Iterator[Mixture]:
        """Yield the training lists, in order."""
        yield from self.phases or (self,)

    def extras(self) -> Iterator[tuple[str, Extra]]:
        """Yield pool and part for each use of a pool."""
        for mixture in self.mixtures():
            yield from mixture.extra.items()

    @property
    def pools(self) -> set[str]:
        """Names of the pools that it takes images from."""
        return {pool for pool, _ in self.extras()}


ArmName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Contrast = tuple[str, str]


def resolve_arm(name: str, arm: ArmConfig, pools: Mapping[str, PoolConfig]) -> ArmConfig:
    """Return the arm with its role and its title filled in.

    Raises:
        ValueError: If its stated role contradicts the recipe.
    """
    made = uses_generator(pools, arm.pools)
    ceiling = any("reserve" in mixture.real for mixture in arm.mixtures())
    brought = uses_folder(pools, arm.pools)
    derived: Role = "ceiling" if ceiling else "candidate" if made or brought else "free"
    if ceiling and arm.role not in (None, "ceiling"):
        raise ValueError(
            f"arm {name!r} sees reserve, real images that the others must do without: its role is "
            f"ceiling, got {arm.role!r}"
        )
    if made and arm.role == "free":
        raise ValueError(f"arm {name!r} has generated images, so that its role can't be 'free'")
    title = arm.title or name.replace("_", " ").replace("-", " ").capitalize()
    return arm.model_copy(update={"role": arm.role or derived, "title": title})
