"""What arms are made of: the real data, and of each pool all images or what a filter keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthdata.config.arms import ArmConfig
from synthdata.datasets.shifted import load_shifted
from synthdata.filters.kept import load_kept
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset


@dataclass(frozen=True)
class Ingredients:
    """Data sets that arms take images from.

    Attributes:
        prepared: The real data, all splits.
        extras: Pool and what is kept of it (None for all) to its images.
        shifted: Shifted evaluation sets by name.
    """

    prepared: DetectionDataset
    extras: Mapping[tuple[str, str | None], DetectionDataset] = field(default_factory=dict)
    shifted: Mapping[str, DetectionDataset] = field(default_factory=dict)


def read_ingredients(arms: Mapping[str, ArmConfig], inputs: Mapping[str, Path]) -> Ingredients:
    """Return what the arms take, from finished stages' folders.

    Args:
        arms: The recipes.
        inputs: Stage name to folder: `prepare`; `generate` and `filter` where an arm needs them.

    Raises:
        DatasetError: If a folder isn't a finished stage's.
    """
    uses = {(pool, part.keep) for arm in arms.values() for pool, part in arm.extras()}
    extras = dict(_whole_pools(uses, inputs))
    for pool in sorted({pool for pool, keep in uses if keep is not None}):
        kept = load_kept(inputs["filter"] / pool)
        extras |= {(pool, keep): images for keep, images in kept.items()}
    shifted = load_shifted(inputs["prepare"])
    return Ingredients(load_dataset(inputs["prepare"]), extras, shifted)


def _whole_pools(
    uses: Iterable[tuple[str, str | None]], inputs: Mapping[str, Path]
) -> Iterable[tuple[tuple[str, str | None], DetectionDataset]]:
    whole = sorted({pool for pool, keep in uses if keep is None})
    if whole:
        made = load_dataset(inputs["generate"])
        yield from (((pool, None), made.where(pool=pool)) for pool in whole)
