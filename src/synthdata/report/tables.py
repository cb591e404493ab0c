"""The page's tables as plain values, read from the run's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthdata.config import STAGES, StageName
from synthdata.manifest import load_dataset
from synthdata.report.numerals import MINUS
from synthdata.report.run import Run, StageFolder


@dataclass(frozen=True)
class SplitRow:
    """Images and objects of one split of the real data."""

    split: str
    images: int
    objects: tuple[int, ...]


def split_table(run: Run) -> tuple[tuple[str, ...], list[SplitRow]]:
    """Return the class names and the first repetition's splits."""
    dataset = load_dataset(run.first("prepare").path)
    rows = []
    for split in ("train", "reserve", "val", "test"):
        part = dataset.split(split)
        if len(part):
            objects = sum(
                (sample.annotations.counts(len(dataset.class_names)) for sample in part),
                np.zeros(len(dataset.class_names), np.int64),
            )
            rows.append(SplitRow(split, len(part), tuple(objects.tolist())))
    return dataset.class_names, rows


@dataclass(frozen=True)
class TimeRow:
    """One stage's time over the whole run."""

    stage: StageName
    seconds: float
    share: float
    computed: int
    repetitions: int


def time_rows(run: Run, timings_s: Mapping[str, float]) -> list[TimeRow]:
    """Return the stages' times, in the order in which they run."""
    total = sum(timings_s.values()) or 1.0
    return [
        TimeRow(
            stage=stage,
            seconds=timings_s[stage],
            share=100 * timings_s[stage] / total,
            computed=len(run.computed(stage)),
            repetitions=len(run.seeds),
        )
        for stage in STAGES[:-1]
        if stage in timings_s
    ]


def facts(folder: StageFolder, *, skip: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return a stage's measurements as names and values, nested names joined by dots."""
    return [(k, v) for k, v in _flatten(folder.metrics) if k.split(".")[0] not in skip]


def _flatten(value: object, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            row
            for key, item in value.items()
            for row in _flatten(item, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, float):
        return [(name, f"{value:.4g}".replace("-", MINUS))]
    if isinstance(value, list):
        return [(name, ", ".join(str(item) for item in value))]
    return [(name, "none" if value is None else str(value))]


def data_problems(folder: StageFolder) -> list[str]:
    """Return the repairs and warnings that `prepare` counted, as sentences."""
    metrics = folder.metrics
    found = [f"Dropped by repair, {kind}: {n}" for kind, n in metrics["repairs"].items()]
    found += [f"Warning, {kind}: {n}" for kind, n in metrics["warnings"].items()]
    if metrics["objects_lost_by_resizing"]:
        found.append(
            f"Smaller than a pixel after resizing, dropped: {metrics['objects_lost_by_resizing']}"
        )
    return found


@dataclass(frozen=True)
class FilterTable:
    """What the filter measured of the whole pool, of what it keeps and of the random drop."""

    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    facts: tuple[tuple[str, str], ...]


def filter_table(metrics: Mapping[str, Any], class_names: Sequence[str]) -> FilterTable:
    """Return the filter stage's measurements of a pool's three sets side by side."""
    names = ("pool", "filtered", "random_drop")
    sets = [metrics["sets"][name] for name in names]
    rows = [("images", tuple(metrics["num_images"][name] for name in names))]
    rows += [
        (f"mean score, {kind}", tuple(values[name] for name in names))
        for kind, values in metrics["mean_score"].items()
    ]
    rows += [
        (f"coverage of real {name}", tuple(one["coverage_by_class"][name] for one in sets))
        for name in class_names
    ]
    rows += [
        (f"coverage of real {name}, of the pool's", (1.0, relative, None))
        for name, relative in metrics["relative_coverage"].items()
    ]
    rows.append(("coverage, mean over classes", tuple(one["mean_class_coverage"] for one in sets)))
    found = [(f"rejected by {kind}", str(n)) for kind, n in metrics["rejected_by"].items()]
    found.append(("encoder of coverage and manifold", metrics["encoder"]["name"]))
    found += [
        (f"encoder of {kind}", one["encoder"]["name"]) for kind, one in metrics["by_filter"].items()
    ]
    if "judge_score_on_real_train" in metrics:
        found += _flatten(metrics["judge_score_on_real_train"], "judge score on real train")
    if "error_on_real_train" in metrics:
        found += _flatten(metrics["error_on_real_train"], "error on real train, out of fold")
    return FilterTable(tuple(rows), tuple(found))
