"""What a version is made of: real data, of each pool all or what a filter keeps, shifted sets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from synthdata.config.version import VersionConfig
from synthdata.datasets.shifted import ShiftedSet, read_shifted
from synthdata.filters.kept import load_kept
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset


@dataclass(frozen=True)
class Ingredients:
    """Data sets that arms, and evaluation sets, take images from.

    Attributes:
        prepared: The real data, all splits.
        extras: Pool and what is kept of it (None for all) to its images.
        shifted: Shifted evaluation sets by name, which aren't written yet.
    """

    prepared: DetectionDataset
    extras: Mapping[tuple[str, str | None], DetectionDataset] = field(default_factory=dict)
    shifted: Mapping[str, ShiftedSet] = field(default_factory=dict)


def read_ingredients(
    section: VersionConfig, inputs: Mapping[str, Path], *, raw_dir: Path
) -> Ingredients:
    """Return what the arms take, from finished stages' folders, and the shifted sets.

    Args:
        section: The recipes, and the shifted sets.
        inputs: Stage name to folder: `prepare`; `generate` and `filter` where an arm needs them.
        raw_dir: Where fetched data sets are, or will be.

    Raises:
        DatasetError: If a folder isn't a finished stage's, or a shifted set can't be used.
    """
    uses = {(pool, part.keep) for arm in section.arms.values() for pool, part in arm.extras()}
    extras = dict(_whole_pools(uses, inputs))
    for pool in sorted({pool for pool, keep in uses if keep is not None}):
        kept = load_kept(inputs["filter"] / pool)
        extras |= {(pool, keep): images for keep, images in kept.items()}
    prepared = load_dataset(inputs["prepare"])
    run = _with_provided(prepared, inputs) if section.shifted else prepared
    shifted = read_shifted(section.shifted, run=run, raw_dir=raw_dir)
    return Ingredients(prepared, extras, shifted)


def _with_provided(prepared: DetectionDataset, inputs: Mapping[str, Path]) -> DetectionDataset:
    """Return the real data and, behind it, the images of folders, which are trained on too."""
    if "generate" not in inputs:
        return prepared
    made = load_dataset(inputs["generate"]).where(origin="provided")
    provided = (replace(sample, path=made.image_path(sample).absolute()) for sample in made)
    return replace(prepared, samples=(*prepared.samples, *provided))


def _whole_pools(
    uses: Iterable[tuple[str, str | None]], inputs: Mapping[str, Path]
) -> Iterable[tuple[tuple[str, str | None], DetectionDataset]]:
    whole = sorted({pool for pool, keep in uses if keep is None})
    if whole:
        made = load_dataset(inputs["generate"])
        yield from (((pool, None), made.where(pool=pool)) for pool in whole)
