"""Twins: what a recipe is without its generated images, or a free one without its pasted ones."""

from collections.abc import Mapping

from synthdata.config import ExperimentConfig
from synthdata.config.arms import ArmConfig, Mixture
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import REAL, PoolConfig, builds_on, uses_folder, uses_generator
from synthdata.search.space import Recipe, change_extras


def free_counterpart(recipe: Recipe, *, pasting: PasteConfig, config: ExperimentConfig) -> Recipe:
    """Return a synthetic recipe's twin: the same shares, phases and sampling, with free pools.

    A pool that a model makes, or that a folder holds, gives way to pasting at the balance of its
    layouts. One that pastes onto such a pool pastes onto real images; one that builds on another
    in another way gives way to that one. Free pools stay. Of what takes the place of another all
    images are taken, since a filter chose among others.

    Args:
        recipe: The synthetic recipe.
        pasting: How objects are pasted, but for the balance.
        config: The experiment.
    """
    free = {name: _free_pool(name, recipe.pools, pasting) for name in recipe.arm.pools}
    changed = {name for name, pool in free.items() if pool is not recipe.pools[name]}
    pools = {**recipe.pools, **{f"{name}-free": pool for name, pool in free.items()}}
    named = change_extras(recipe.arm, {name: f"{name}-free" for name in free})
    whole = _keep_all(named, {f"{name}-free" for name in changed})
    return Recipe.of(whole, pools, config)


def _free_pool(name: str, pools: Mapping[str, PoolConfig], pasting: PasteConfig) -> PoolConfig:
    pool = pools[name]
    if not uses_generator(pools, {name}) and not uses_folder(pools, {name}):
        return pool
    below = builds_on(pool)
    if isinstance(pool, PasteConfig):
        return pool.model_copy(update={"onto": REAL})
    if below is not None:
        return _free_pool(below, pools, pasting)
    balance = getattr(pool, "balance", None)
    return pasting if balance is None else pasting.model_copy(update={"balance": balance})


def _keep_all(arm: ArmConfig, pools: set[str]) -> ArmConfig:
    def change(mixture: Mixture) -> dict[str, object]:
        return {
            "extra": {
                name: part.model_copy(update={"keep": None}) if name in pools else part
                for name, part in mixture.extra.items()
            }
        }

    phases = tuple(phase.model_copy(update=change(phase)) for phase in arm.phases)
    return arm.model_copy(update=change(arm) | {"phases": phases})


def without_extras(recipe: Recipe, *, config: ExperimentConfig) -> Recipe:
    """Return a recipe's real images alone, sampled and in phases as it has them."""
    return Recipe.of(change_extras(recipe.arm, {}), {}, config)
