"""A config with a search, for tests; nothing of it is trained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthdata.config import ExperimentConfig, load_config
from synthdata.config.arms import ArmConfig
from synthdata.config.pools import PoolConfig
from synthdata.search.space import Recipe
from synthdata.search.study import Rung, Trial

GENERATED = {"kind": "generator", "generator": {"kind": "controlnet"}, "balance": 0.75}
SPACES: list[dict[str, Any]] = [
    {
        "family": "free",
        "pools": {"pasted": {"kind": "paste", "balance": {"choose": [0, 0.5]}}},
        "arm": {"extra": {"pasted": {"choose": [0.3, 0.6]}}},
    },
    {
        "family": "synthetic",
        "pools": {"made": {**GENERATED, "balance": {"choose": [0, 0.75]}}},
        "arm": {"extra": {"made": {"choose": [0.3, 0.6]}}},
    },
]


def search_section(spaces: Sequence[Mapping[str, Any]] = (), **values: Any) -> dict[str, Any]:
    return {
        "seeds": [100, 101],
        "trials": 3,
        "rungs": [{"epochs": 1}, {"epochs": 2, "seeds": 2}],
        "spaces": list(spaces) or SPACES,
        **values,
    }


def search_config(
    folder: Path, spaces: Sequence[Mapping[str, Any]] = (), **values: Any
) -> ExperimentConfig:
    """Return smoke.yaml with a search, written to `mine.yaml` in a folder."""
    text = {"extends": "smoke.yaml", "name": "mine", "search": search_section(spaces, **values)}
    (folder / "mine.yaml").write_text(json.dumps(text))  # JSON is YAML
    return load_config(folder / "mine.yaml")


def recipe(
    config: ExperimentConfig, arm: Mapping[str, Any], pools: Mapping[str, PoolConfig]
) -> Recipe:
    return Recipe.of(ArmConfig.model_validate(arm), pools, config)


def trial(number: int, one: Recipe, *scores: float, rung: int = 1, epochs: int = 2) -> Trial:
    """Return a trial with scores of the seeds 100, 101, ... in one rung of 3 steps an epoch."""
    by_seed = dict(zip(range(100, 200), scores, strict=False))
    measured = Rung(
        epochs, 3 * epochs, by_seed, {seed: {"0": score} for seed, score in by_seed.items()}
    )
    family = one.family
    assert family is not None
    return Trial(number, family, f"{family}-{number}", one, {rung: measured})
