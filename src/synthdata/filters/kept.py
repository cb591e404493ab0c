"""The filter stage's folder: scores, decisions and the images that any of the sets keeps.

The sets: `filtered` by all filters together, `random_drop`, its twin, and by its kind what each
filter keeps alone.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from synthdata.config.arms import KEEP_FILTERED, KEEP_RANDOM
from synthdata.errors import DatasetError
from synthdata.files import link_or_copy, replacing
from synthdata.manifest import load_dataset, save_dataset
from synthdata.samples import DetectionDataset

SCORES: Final = "scores.parquet"
DECISIONS: Final = "decisions.parquet"


def save_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table atomically."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def save_kept(pool: DetectionDataset, decisions: pd.DataFrame, out_dir: Path) -> None:
    """Link the images that any set keeps, and write all tables.

    Args:
        pool: The images.
        decisions: As `decisions_frame` returns them.
        out_dir: Becomes a data set of these images, with `decisions.parquet`.
    """
    wanted = set().union(*_kept_ids(decisions).values())
    samples = []
    for sample in pool:
        if sample.sample_id in wanted:
            path = Path("images", f"{sample.sample_id}{sample.path.suffix}")
            link_or_copy(pool.image_path(sample), out_dir / path)
            samples.append(replace(sample, path=path))
    save_table(decisions, out_dir / DECISIONS)
    save_dataset(DetectionDataset(out_dir, pool.class_names, tuple(samples)))


def load_kept(filter_dir: Path) -> dict[str, DetectionDataset]:
    """Return the sets by name, each with `filter_dir` as root.

    Args:
        filter_dir: A pool's folder in that of stage `filter`.

    Raises:
        DatasetError: If the folder isn't a finished filter stage's.
    """
    if not (filter_dir / DECISIONS).is_file():
        raise DatasetError(
            f"{filter_dir} must hold {DECISIONS}, as a finished filter stage leaves it; "
            "run stage filter first"
        )
    dataset = load_dataset(filter_dir)
    return {
        name: replace(dataset, samples=tuple(one for one in dataset if one.sample_id in ids))
        for name, ids in _kept_ids(pd.read_parquet(filter_dir / DECISIONS)).items()
    }


def _kept_ids(decisions: pd.DataFrame) -> dict[str, set[str]]:
    names = {"kept": KEEP_FILTERED, "random_kept": KEEP_RANDOM}
    return {
        names.get(column, column.removesuffix("_kept")): set(
            decisions.loc[decisions[column], "sample_id"]
        )
        for column in decisions.columns
        if column == "kept" or column.endswith("_kept")
    }
