"""The layouts of a run: a set for each class balance that a pool asks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthdata.config.layout import LayoutConfig
from synthdata.layout.run import make_layouts
from synthdata.manifest import load_layouts
from synthdata.samples import DetectionDataset, Layout


def make_layout_sets(
    section: LayoutConfig, *, train: DetectionDataset, out_dir: Path
) -> dict[str, Any]:
    """Write a set of layouts for each balance, and return how they compare with the real ones.

    Args:
        section: The stage's config.
        train: The real train split.
        out_dir: The stage's folder; `load_layout_sets` reads it.

    Returns:
        `sets`: per balance what `make_layouts` measures.

    Raises:
        DatasetError: If the train split has no image.
    """
    return {
        "sets": {
            f"{balance:g}": make_layouts(
                section.model_copy(update={"balance": balance}),
                train=train,
                out_dir=_folder(out_dir, balance),
            )
            for balance in section.balances
        }
    }


def load_layout_sets(folder: Path, section: LayoutConfig) -> Mapping[float, list[Layout]]:
    """Return the layouts that a finished stage left, by their balance."""
    return {balance: load_layouts(_folder(folder, balance)) for balance in section.balances}


def _folder(out_dir: Path, balance: float) -> Path:
    return out_dir / f"balance-{balance:g}"
