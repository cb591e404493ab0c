"""Draws layouts and, as the stage's work, writes them."""

from pathlib import Path
from typing import Any

import numpy as np

from synthdata.config.layout import LayoutConfig
from synthdata.errors import DatasetError
from synthdata.layout.model import fit_layout_model
from synthdata.layout.recombined import recombine_layout
from synthdata.layout.sampled import sample_layout
from synthdata.layout.statistics import layout_distances
from synthdata.manifest import save_layouts
from synthdata.samples import DetectionDataset, Layout
from synthdata.seeding import derive_seed


def sample_layouts(dataset: DetectionDataset, config: LayoutConfig) -> list[Layout]:
    """Return new layouts that follow the real ones.

    Layout `i` depends on the data set, the config and `i` only, not on how many are drawn.

    Args:
        dataset: The real train split; its images are not read.
        config: Which way, how many, the seed.

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
    draw = sample_layout if config.kind == "sampled" else recombine_layout
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
        `num_layouts`, `num_objects` by class, and the distances of `layout_distances`.

    Raises:
        DatasetError: If the train split has no image.
    """
    layouts = sample_layouts(train, section)
    save_layouts(out_dir, layouts, train.class_names)
    real = [Layout(s.sample_id, s.width, s.height, s.annotations) for s in train]
    counts = sum(layout.annotations.counts(len(train.class_names)) for layout in layouts)
    return {
        "num_layouts": len(layouts),
        "num_objects": dict(zip(train.class_names, np.asarray(counts).tolist(), strict=True)),
        "distances": layout_distances(real, layouts, class_names=train.class_names),
    }
