"""The `pools`: sets of extra images, each a way to make or to get them."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import Fraction, Section
from synthdata.config.composite import CompositeConfig
from synthdata.config.generator import GeneratorConfig
from synthdata.config.paste import PasteConfig

REAL = "real"  # what `onto` calls the real train split


class GeneratorPool(Section):
    """Images that a diffusion model makes, one per layout.

    Attributes:
        generator: How the model of stage `fit` is sampled.
        balance: Class balance of its layouts; None takes `layout.balance`.
    """

    kind: Literal["generator"]
    generator: GeneratorConfig
    balance: Fraction | None = None


class FolderPool(Section):
    """Labelled images that the user already has: renders, another camera's, another generator's.

    Their classes are found by name; images get the size of the real train images.

    Attributes:
        path: Folder, relative to the workspace or absolute; all of its splits are taken.
        format: How it is labelled.
        repair: Drop boxes that the check reports as errors, instead of stopping.
        ignore_classes: Classes of the folder that the run doesn't know and whose objects are
            left out. They stay in the images, as background.
    """

    kind: Literal["folder"]
    path: Path
    format: Literal["yolo", "coco", "voc"]
    repair: bool = False
    ignore_classes: tuple[str, ...] = ()


PoolConfig = Annotated[
    GeneratorPool | PasteConfig | CompositeConfig | FolderPool, Field(discriminator="kind")
]


def pool_order(pools: Mapping[str, PoolConfig], wanted: set[str]) -> list[str]:
    """Return the wanted pools and those that they build on, each after what it builds on.

    Raises:
        ValueError: If a pool is missing, or builds on itself by way of others.
    """
    graph: dict[str, list[str]] = {}
    waiting = [name for name in pools if name in wanted]
    for name in waiting:
        below = builds_on(pools[name])
        if below and below not in pools:
            raise ValueError(f"pools.{name}.onto is {below!r}, there is {[REAL, *sorted(pools)]}")
        graph[name] = [below] if below else []
        waiting += [one for one in graph[name] if one not in waiting]
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ValueError(f"pools build on each other in a circle: {circle}") from None


def builds_on(pool: PoolConfig) -> str | None:
    """Return the pool whose images a pool's are made of; None where there is none."""
    if isinstance(pool, PasteConfig | CompositeConfig) and pool.onto != REAL:
        return pool.onto
    return None


def uses_generator(pools: Mapping[str, PoolConfig], wanted: set[str]) -> bool:
    """Return whether a diffusion model has a part in any of the wanted pools."""
    made = GeneratorPool | CompositeConfig
    return any(isinstance(pools[name], made) for name in pool_order(pools, wanted))


def uses_folder(pools: Mapping[str, PoolConfig], wanted: set[str]) -> bool:
    """Return whether images that the user brought have a part in any of the wanted pools."""
    return any(isinstance(pools[name], FolderPool) for name in pool_order(pools, wanted))
