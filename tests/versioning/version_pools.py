"""The values that the versioning fixtures give."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthdata.config.version import ArmName, VersionConfig
from synthdata.samples import DetectionDataset
from synthdata.versioning.write import write_versions

ALL_ARMS: tuple[ArmName, ...] = (
    "real", "copy_paste", "synthetic", "synthetic_filtered", "synthetic_random_drop", "oracle",
)  # fmt: skip


@dataclass(frozen=True)
class Pools:
    """What `write_versions` takes: 4 train, 3 reserve, 2 val and 2 test images; 6 + 5 made."""

    prepared: DetectionDataset
    generated: DetectionDataset
    filtered: DetectionDataset
    random_drop: DetectionDataset

    def write(self, out_dir: Path, section: VersionConfig) -> dict[str, Any]:
        return write_versions(
            section,
            prepared=self.prepared,
            pools={
                "copy_paste": self.generated.where(generator="copy_paste"),
                "synthetic": self.generated.where(generator="synthetic"),
                "synthetic_filtered": self.filtered,
                "synthetic_random_drop": self.random_drop,
            },
            out_dir=out_dir,
        )


@dataclass(frozen=True)
class History:
    """A repository with the `real` arm at tag `v1` and, one image fewer and one moved, at `v2`.

    `published` is what the first, an unchanged and the changed publication returned.
    """

    repository: Path
    published: tuple[dict[str, Any], ...]
