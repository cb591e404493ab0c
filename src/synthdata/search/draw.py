"""Drawing recipes: Optuna makes the choices of a space, and no recipe is drawn twice."""

import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BruteForceSampler
from optuna.trial import FrozenTrial
from pydantic import JsonValue

from synthdata.config import ExperimentConfig
from synthdata.config.search import FAMILIES, Family, SearchConfig
from synthdata.errors import ConfigError
from synthdata.search.space import Recipe, make_recipe
from synthdata.seeding import derive_seed

# Optuna would report each draw.
optuna.logging.set_verbosity(optuna.logging.WARNING)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """A recipe that was drawn, with Optuna's record of the choices.

    Attributes:
        family: The recipe's.
        recipe: What the choices come to.
        choices: The finished trial of the draw.
    """

    family: Family
    recipe: Recipe
    choices: FrozenTrial


def draw_recipes(
    config: ExperimentConfig, section: SearchConfig, *, reference: Recipe
) -> list[Drawn]:
    """Return as many recipes of each family, none twice.

    Optuna draws assignments at random, each of a family's as likely as the way to it; one that
    comes to a recipe that is there, or to the reference, is left out.

    Args:
        config: The experiment.
        section: What to draw from, and how many of each family; where a family has fewer, both get
            that number, which is logged.
        reference: The recipe that all are compared with.

    Raises:
        ConfigError: If an assignment isn't valid or belongs to another family, or a family has no
            recipe but the reference.
    """
    found = {family: _draw(config, section, family, reference) for family in FAMILIES}
    number = min(len(drawn) for drawn in found.values())
    for family, drawn in found.items():
        if not drawn:
            raise ConfigError(
                f"search.spaces hold no {family} recipe but the reference; add a choice"
            )
        if len(drawn) < section.trials:
            logger.warning(
                "search: there are %d %s recipes, and not search.trials (%d); %d of each family "
                "are tried", len(drawn), family, section.trials, number,
            )  # fmt: skip
    return [one for drawn in found.values() for one in drawn[:number]]


def _draw(
    config: ExperimentConfig, section: SearchConfig, family: Family, reference: Recipe
) -> list[Drawn]:
    spaces = {str(i): one for i, one in enumerate(section.spaces) if one.family == family}
    found: dict[str, Drawn] = {}

    def objective(trial: optuna.Trial) -> float:
        def choose(path: str, options: Sequence[JsonValue]) -> int:
            texts = [json.dumps(option) for option in options]  # Optuna stores scalars only
            return texts.index(trial.suggest_categorical(path, texts))

        index = trial.suggest_categorical(f"{family} space", list(spaces))
        recipe = make_recipe(spaces[index], choose, config, path=f"search.spaces[{index}]")
        if recipe.digest != reference.digest and recipe.digest not in found:
            choices = trial.study.trials[trial.number]
            found[recipe.digest] = Drawn(family, recipe, choices)
        if len(found) == section.trials:
            trial.study.stop()
        return 0.0

    seed = derive_seed(section.seeds[0], f"search-{family}") % 2**32
    with warnings.catch_warnings():
        # The sampler that repeats no assignment, and knows when there is none left.
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = BruteForceSampler(seed=seed)
    optuna.create_study(sampler=sampler).optimize(objective)
    return list(found.values())
