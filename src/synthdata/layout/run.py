"""Draws layouts and, as the stage's work, writes them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthdata.config.layout import LayoutConfig
from synthdata.errors import DatasetError
from synthdata.layout.balance import class_balance
from synthdata.layout.model import fit_layout_model
from synthdata.layout.recombined import recombine_layout
from synthdata.layout.sampled import sample_layout
from synthdata.layout.statistics import layout_distances
from synthdata.manifest import load_layouts, save_layouts
from synthdata.samples import DetectionDataset, IntArray, Layout
from synthdata.seeding import derive_seed


def sample_layouts(dataset: DetectionDataset, config: LayoutConfig) -> list[Layout]:
    """Return new layouts that follow the real ones, but for the shares of the classes.

    Layout `i` depends on the data set, the config and `i` only, not on how many are drawn.

    Args:
        dataset: The real train split; its images are not read.
        config: Which way, how many, how balanced, the seed.

    Returns:
        `num_layouts` layouts, named `layout-00000` and on; each is on a real image's canvas.

    Raises:
        DatasetError: If the data set has no image.
    """
    if len(dataset) == 0:
        raise DatasetError(
            "layouts need at least one real train image, got none; check prepare.train_images"
        )
    model = fit_layout_model(dataset, max_overlap=config.max_overlap)
    draw = recombine_layout
    if config.kind == "sampled":
        draw = partial(sample_layout, balance=class_balance(model, config.balance))
    layouts = []
    for index in range(config.num_layouts):
        rng = np.random.default_rng(derive_seed(config.seed, "layout", index))
        (width, height), annotations = draw(model, rng=rng, jitter=config.jitter)
        layouts.append(Layout(f"layout-{index:05d}", width, height, annotations))
    return layouts


def make_layouts(
    section: LayoutConfig, *, train: DetectionDataset, out_dir: Path
) -> dict[str, Any]:
    """Write new layouts into `out_dir` and return how they compare with the real ones.

    Args:
        section: The stage's config.
        train: The real train split.
        out_dir: The stage's folder; `synthdata.manifest.load_layouts` reads it.

    Returns:
        `num_layouts`; `num_objects` by class; `class_shares`, of the objects by class, and
        `objects_per_image`, each of `train` and of `layouts`; and the distances of
        `layout_distances`.

    Raises:
        DatasetError: If the train split has no image.
    """
    layouts = sample_layouts(train, section)
    save_layouts(out_dir, layouts, train.class_names)
    real = [Layout(s.sample_id, s.width, s.height, s.annotations) for s in train]
    counts, of_train = _counts(layouts, train.class_names), _counts(real, train.class_names)
    shares, real_shares = _shares(counts), _shares(of_train)
    return {
        "num_layouts": len(layouts),
        "num_objects": dict(zip(train.class_names, counts.tolist(), strict=True)),
        "class_shares": {
            name: {"train": real_shares[class_id], "layouts": shares[class_id]}
            for class_id, name in enumerate(train.class_names)
        },
        "objects_per_image": {
            "train": int(of_train.sum()) / len(real),
            "layouts": int(counts.sum()) / len(layouts),
        },
        "distances": layout_distances(real, layouts, class_names=train.class_names),
    }


def make_balanced_layouts(
    section: LayoutConfig, *, train: DetectionDataset, out_dir: Path
) -> dict[str, Any]:
    """Write a set of layouts for each of the section's `balances`.

    Layout `i` of each set is on the same canvas and comes from the same real counts.

    Args:
        section: The stage's config.
        train: The real train split.
        out_dir: The stage's folder; `load_layout_sets` reads it.

    Returns:
        `sets`: what `make_layouts` returns, by the name of the set's folder.

    Raises:
        DatasetError: If the train split has no image.
        ValueError: If the kind of layouts has no balance.
    """
    found = {}
    for balance in section.balances:
        folder = _folder(out_dir, balance)
        found[folder.name] = make_layouts(
            section.with_balance(balance), train=train, out_dir=folder
        )
    return {"sets": found}


def load_layout_sets(folder: Path, section: LayoutConfig) -> Mapping[float, list[Layout]]:
    """Return the layouts that a finished stage left, by their balance."""
    return {balance: load_layouts(_folder(folder, balance)) for balance in section.balances}


def _folder(out_dir: Path, balance: float) -> Path:
    return out_dir / f"balance-{float(balance)}"


def _counts(layouts: Iterable[Layout], class_names: Sequence[str]) -> IntArray:
    counts = [layout.annotations.counts(len(class_names)) for layout in layouts]
    total: IntArray = np.sum(counts, axis=0)
    return total


def _shares(counts: IntArray) -> list[float]:
    shares: list[float] = (counts / max(int(counts.sum()), 1)).tolist()
    return shares
