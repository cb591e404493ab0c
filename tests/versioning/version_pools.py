"""The values that the versioning fixtures give."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthdata.config.arms import ArmConfig
from synthdata.config.version import VersionConfig
from synthdata.samples import DetectionDataset
from synthdata.versioning.ingredients import Ingredients
from synthdata.versioning.write import write_versions

RECIPES: Mapping[str, Any] = {
    "real": {"role": "reference"},
    "copy_paste": {"extra": {"copy_paste": 0.5}},
    "synthetic": {"extra": {"synthetic": 0.5}},
    "synthetic_filtered": {"extra": {"synthetic": {"share": 0.5, "keep": "filtered"}}},
    "synthetic_random_drop": {"extra": {"synthetic": {"share": 0.5, "keep": "random_drop"}}},
    "oracle": {"real": ["train", "reserve"]},
}
ALL_ARMS = tuple(RECIPES)


def recipes(*names: str) -> dict[str, ArmConfig]:
    """Return arms by name, as a config states them."""
    return {name: ArmConfig.model_validate(RECIPES[name]) for name in names or ALL_ARMS}


@dataclass(frozen=True)
class Pools:
    """What `write_versions` takes: 4 train, 3 reserve, 2 val and 2 test images; 6 + 5 made."""

    prepared: DetectionDataset
    generated: DetectionDataset
    filtered: DetectionDataset
    random_drop: DetectionDataset

    @property
    def ingredients(self) -> Ingredients:
        return Ingredients(
            self.prepared,
            extras={
                ("copy_paste", None): self.generated.where(pool="copy_paste"),
                ("synthetic", None): self.generated.where(pool="synthetic"),
                ("synthetic", "filtered"): self.filtered,
                ("synthetic", "random_drop"): self.random_drop,
            },
        )

    def write(self, out_dir: Path, section: VersionConfig) -> dict[str, Any]:
        return write_versions(section, ingredients=self.ingredients, out_dir=out_dir)


@dataclass(frozen=True)
class History:
    """A repository with the `real` arm at tag `v1` and, one image fewer and one moved, at `v2`.

    `published` is what the first, an unchanged and the changed publication returned.
    """

    repository: Path
    published: tuple[dict[str, Any], ...]
