"""An arm's recipe in words."""

from collections.abc import Iterator
from typing import Final

from synthdata.config.arms import (
    KEEP_FILTERED,
    KEEP_RANDOM,
    ArmConfig,
    Extra,
    Mixture,
    Phase,
    Sampling,
)
from synthdata.report.numerals import percent

_SAMPLED: Final[dict[Sampling, str]] = {
    "even": "each as often as any other",
    "repeat_factor": "more often where they show a class that few images show",
    "instance_balanced": "more often the more objects they have of classes that have few",
}
_KEPT: Final[dict[str | None, str]] = {
    None: "",
    KEEP_FILTERED: ", what all filters keep",
    KEEP_RANDOM: ", as many as all filters keep, drawn at random",
}


def recipe_in_words(recipe: ArmConfig) -> list[str]:
    """Return a sentence for each training list, in order."""
    return [f"{_phase(one, number)}{_mixture(one)}." for number, one in _numbered(recipe)]


def _numbered(recipe: ArmConfig) -> Iterator[tuple[int, Mixture]]:
    return enumerate(recipe.mixtures(), start=1)


def _phase(mixture: Mixture, number: int) -> str:
    if not isinstance(mixture, Phase):
        return ""
    replay = f", {percent(mixture.replay)} of it drawn from the phase before" * bool(mixture.replay)
    return (
        f"Phase {number}, {percent(mixture.steps)} of the steps, learning rate times "
        f"{mixture.learning_rate:g}{replay}: "
    )


def _mixture(mixture: Mixture) -> str:
    parts = [_extra(pool, part) for pool, part in mixture.extra.items()]
    if mixture.real_share:
        splits = " and ".join(mixture.real)
        how = _SAMPLED[mixture.sampling]
        parts.insert(0, f"{percent(mixture.real_share)} real images of {splits}, {how}")
    return "; ".join(parts)


def _extra(pool: str, part: Extra) -> str:
    kept = _KEPT.get(part.keep, f", what the {part.keep} filter keeps")
    return f"{percent(part.share)} images of pool {pool}{kept}, {_SAMPLED[part.sampling]}"
