"""`best.yaml`: the advised synthetic recipe, the best free one, their twins, and two contrasts."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from synthdata.config import ExperimentConfig, find_config, load_config
from synthdata.config.arms import ArmConfig
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import REAL, uses_generator
from synthdata.config.search import FREE, SYNTHETIC, Family
from synthdata.files import replacing
from synthdata.search.space import Recipe
from synthdata.search.study import Trial
from synthdata.search.twins import free_counterpart, without_extras
from synthdata.verdict.choice import choose_arm

BEST: Final = "best.yaml"
_MAX_NAME: Final = 64
_SYNTHETIC_TWIN: Final = f"{SYNTHETIC}_twin"
_FREE_TWIN: Final = f"{FREE}_twin"
_NAMES: Final = (SYNTHETIC, FREE, _SYNTHETIC_TWIN, _FREE_TWIN)


def choose_trial(trials: Sequence[Trial], family: Family) -> Trial:
    """Return a family's cheapest trial within one standard error of its best, in the last rung.

    Cheaper is one without a model; then without filters; then with fewer pools; then with a smaller
    share of extra images; then the earlier one.
    """
    ranked = sorted((trial for trial in trials if trial.family == family), key=_cost)
    rows = [
        {"arm": trial.arm, "seed": seed, "map50_95": score}
        for trial in ranked
        for seed, score in trial.rungs[max(trial.rungs)].map50_95.items()
    ]
    chosen = choose_arm(pd.DataFrame(rows), arms=[trial.arm for trial in ranked])
    return next(trial for trial in ranked if trial.arm == chosen)


def _cost(trial: Trial) -> tuple[bool, bool, int, float, int]:
    arm, pools = trial.recipe.arm, trial.recipe.pools
    steps = [phase.steps for phase in arm.phases] or [1.0]
    lists = zip(steps, arm.mixtures(), strict=True)
    share = sum(part * (1 - mixture.real_share) for part, mixture in lists)
    is_filtered = any(part.keep is not None for _, part in arm.extras())
    return uses_generator(pools, arm.pools), is_filtered, len(pools), share, trial.number


@dataclass
class _Arms:
    """Arms by name, where equal recipes are one arm."""

    names: dict[str, str]
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def add(self, name: str, recipe: Recipe) -> str:
        """Return the recipe's name: that of an equal one, if there is one."""
        if recipe.digest not in self.names:
            self.names[recipe.digest] = name
            self.recipes[name] = recipe
        return self.names[recipe.digest]


def best_experiment(
    config: ExperimentConfig,
    trials: Sequence[Trial],
    *,
    best: Mapping[Family, Trial],
    reference: tuple[str, ArmConfig],
    reference_scores: Mapping[int, float],
) -> dict[str, Any]:
    """Return the values of the config that tests what was found.

    Args:
        config: The experiment that recipes were sought for.
        trials: All that were tried.
        best: The advised synthetic trial, and the best free one.
        reference: Name and recipe of what they are compared with.
        reference_scores: Its mAP50-95 on val in the last rung, by seed.
    """
    synthetic, free = best[SYNTHETIC], best[FREE]
    compared, arm = reference
    compared = "reference" if compared in _NAMES else compared
    base = Recipe.of(arm, config.pools, config)
    arms = _Arms({base.digest: compared})
    arms.add(SYNTHETIC, synthetic.recipe)
    arms.add(FREE, free.recipe)
    pasting = _pasting([free, *trials], config)
    twin = free_counterpart(synthetic.recipe, pasting=pasting, config=config)
    twins = {
        SYNTHETIC: arms.add(_SYNTHETIC_TWIN, twin),
        FREE: arms.add(_FREE_TWIN, without_extras(free.recipe, config=config)),
    }
    last = synthetic.rungs[max(synthetic.rungs)]
    pools = {k: v for one in (base, *arms.recipes.values()) for k, v in one.pools.items()}
    chosen_by = {
        compared: reference_scores,
        FREE: free.rungs[max(free.rungs)].map50_95,
        SYNTHETIC: last.map50_95,
    }
    values: dict[str, Any] = {
        "name": f"{config.name[: _MAX_NAME - len('-best')]}-best",
        "search": None,
        "pools": {name: pool.model_dump(mode="json") for name, pool in pools.items()},
        "arms": {compared: _stated(base.arm) | {"role": "reference", "title": arm.title}}
        | {name: _stated(one.arm) for name, one in arms.recipes.items()},
        "contrasts": [[SYNTHETIC, FREE], [SYNTHETIC, compared]],
        "train": {"epochs": last.epochs},
        "version": {"list_length": last.steps * config.train.batch_size // last.epochs},
        "report": {
            "selection": {
                name: {seed: round(score, 6) for seed, score in by_seed.items()}
                for name, by_seed in chosen_by.items()
            }
        },
    }
    for name, other in twins.items():
        if other not in (name, compared):
            values["arms"][name]["twin"] = other
    if config.score is not None and config.score.pool not in (None, *pools):
        values["score"] = {"pool": None}
    return values


def _pasting(trials: Sequence[Trial], config: ExperimentConfig) -> PasteConfig:
    """Return how objects are pasted onto real images, as the first does that pastes so."""
    tried = [pool for trial in trials for pool in trial.recipe.pools.values()]
    known = [*tried, *config.pools.values(), PasteConfig(kind="paste")]
    return next(pool for pool in known if isinstance(pool, PasteConfig) and pool.onto == REAL)


def _stated(arm: ArmConfig) -> dict[str, Any]:
    return arm.model_dump(mode="json", exclude_defaults=True)


def write_best(
    path: Path,
    values: Mapping[str, Any],
    *,
    config: ExperimentConfig,
    source: str | Path,
    overrides: Sequence[str],
    comment: str,
) -> None:
    """Write the config; it appears when it was found to load.

    Args:
        path: The file.
        values: As `best_experiment` returns them.
        config: The experiment that they change.
        source: Its file, which the new one extends; or a bundled config's name.
        overrides: Changes to that file. With any, all that the config states is written instead,
            since a file can't replace a mapping of the one that it extends.
        comment: For its head, a line or several.
    """
    if overrides:
        stated = _merge(config.model_dump(mode="json", exclude_unset=True), values)
    else:
        stated = {"extends": _from(path.parent, source), **values}
    text = yaml.safe_dump(stated, sort_keys=False, default_flow_style=None, width=100)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    with replacing(path) as temporary:
        temporary.write_text(head + text, encoding="utf-8")
        load_config(temporary)


def _merge(stated: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    within = {
        name: (stated.get(name) or {}) | values[name]
        for name in ("train", "version", "score", "report")
        if name in values
    }
    return {**stated, **values, **within}


def _from(folder: Path, source: str | Path) -> str:
    """Return what a file in a folder calls a config that it extends."""
    found = find_config(source)
    if found == Path(source):
        return Path(os.path.relpath(found.resolve(), folder.resolve())).as_posix()
    return Path(source).as_posix()
