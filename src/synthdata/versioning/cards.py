"""Data cards: what an arm consists of and where it comes from, for people and programs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synthdata.boxes import FloatArray, area
from synthdata.config.version import VersionConfig
from synthdata.files import read_json, sha256_json
from synthdata.runfolder import METRICS, read_section
from synthdata.versioning.arms import Arm

_LICENCES = {
    "digits": "scikit-learn's digits (UCI Optical Recognition of Handwritten Digits), CC BY 4.0",
    "bccd": "BCCD, MIT",
}
_FILTER_OF_ARM = {
    "synthetic_filtered": "the filter stage's choice",
    "synthetic_random_drop": "as many images as the filter stage keeps, drawn at random",
}
_UNKNOWN_LICENCE = "not known to synthdata; state it yourself before you share this data"


@dataclass(frozen=True)
class Provenance:
    """Where an arm's images come from.

    Attributes:
        dataset: The real data's kind or folder.
        licence: Of the real data.
        sections: Resolved config section of each stage that made them.
        scores: What the filter stage measured.
    """

    dataset: str = "unknown"
    licence: str = _UNKNOWN_LICENCE
    sections: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)


def read_provenance(inputs: Mapping[str, Path]) -> Provenance:
    """Return the provenance that finished stages' folders tell, by stage name.

    Args:
        inputs: Stage name to folder; `prepare` gives the source, `filter` the scores.
    """
    sections = {name: read_section(folder) for name, folder in sorted(inputs.items())}
    source = sections.get("prepare", {}).get("source", {})
    kind = str(source.get("kind", "unknown"))
    scores = read_json(inputs["filter"] / METRICS) if "filter" in inputs else {}
    scores.pop("elapsed_s", None)  # the same data must give the same card
    return Provenance(
        dataset=str(source.get("path", kind)),
        licence=_LICENCES.get(kind, _UNKNOWN_LICENCE),
        sections=sections,
        scores=scores,
    )


def arm_card(
    arm: Arm, class_names: tuple[str, ...], section: VersionConfig, provenance: Provenance
) -> dict[str, Any]:
    """Return an arm's card, as JSON values.

    `scores` are the filter stage's and stand only on arms that have its pool's images.
    """
    samples = [image.sample for image in arm.images]
    objects = sum(
        (sample.annotations.counts(len(class_names)) for sample in samples),
        np.zeros(len(class_names), np.int64),
    )
    generators = sorted({s.generator for s in samples if s.generator})
    sections = {**provenance.sections, "version": section.model_dump(mode="json")}
    return {
        "arm": arm.name,
        "num_images": len(samples),
        "images_by_origin": dict(sorted(Counter(s.origin for s in samples).items())),
        "images_by_split": dict(sorted(Counter(s.split for s in samples).items())),
        "objects_per_class": dict(zip(class_names, objects.tolist(), strict=True)),
        "boxes": _box_statistics(np.concatenate([s.annotations.xyxy for s in samples])),
        "training_list": _list_statistics(arm),
        "sources": {
            "dataset": provenance.dataset,
            "licence": provenance.licence,
            "generators": generators,
            "generator_config_sha256": sorted({s.config_sha256 for s in samples if s.generator}),
            "filter": _filter_of(arm.name),
        },
        "config_sha256": sha256_json(sections),
        "config": sections,
        "scores": dict(provenance.scores) if arm.name.startswith("synthetic") else {},
    }


def _box_statistics(xyxy: FloatArray) -> dict[str, Any]:
    """Return smallest, median and largest width, height (pixels) and area (square pixels)."""
    values = {
        "width_px": xyxy[:, 2] - xyxy[:, 0],
        "height_px": xyxy[:, 3] - xyxy[:, 1],
        "area_px": area(xyxy),
    }
    statistics: dict[str, Any] = {"num": len(xyxy)}
    if len(xyxy):
        for name, value in values.items():
            low, middle, high = np.quantile(value, [0, 0.5, 1]).round(2).tolist()
            statistics[name] = {"min": low, "median": middle, "max": high}
    return statistics


def _filter_of(arm: str) -> str:
    kind = arm.removeprefix("synthetic_")
    alone = "" if kind == arm else f"the choice of the filter stage's {kind} filter alone"
    return _FILTER_OF_ARM.get(arm, alone)


def _list_statistics(arm: Arm) -> dict[str, Any]:
    repeats = np.bincount(arm.order, minlength=len(arm.images))
    is_extra = np.array([image.is_extra for image in arm.images])
    statistics: dict[str, Any] = {"length": len(arm.order), "images_left_out": arm.num_left_out}
    for name, group in (("real", repeats[~is_extra]), ("extra", repeats[is_extra])):
        if len(group):
            statistics[name] = {
                "images": len(group),
                "places": int(group.sum()),
                "repeats_min": int(group.min()),
                "repeats_max": int(group.max()),
            }
    return statistics


def render_card(card: Mapping[str, Any]) -> str:
    """Return a card as Markdown; the config and nested scores stay in the JSON form."""
    training, sources = card["training_list"], card["sources"]
    lines = [
        f"# Data card: arm `{card['arm']}`",
        "",
        f"{card['num_images']} images "
        f"({', '.join(f'{n} {origin}' for origin, n in card['images_by_origin'].items())}), "
        f"{card['boxes']['num']} objects.",
        "",
        "## Sources",
        "",
        f"- Real data: {sources['dataset']}. Licence: {sources['licence']}.",
        f"- Generators: {', '.join(sources['generators']) or 'none'}.",
        f"- Filter: {sources['filter'] or 'none'}.",
        f"- Config: sha256 `{card['config_sha256']}` (in full in `card.json`).",
        "",
        "## Training list",
        "",
        f"{training['length']} places, filled by repeats; "
        f"{training['images_left_out']} images left out.",
        "",
        "| group | images | places | fewest repeats | most repeats |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {group['images']} | {group['places']} | {group['repeats_min']} | "
            f"{group['repeats_max']} |"
            for name, group in ((n, training[n]) for n in ("real", "extra") if n in training)
        ),
        "",
        "## Objects",
        "",
        "| class | objects |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in card["objects_per_class"].items()),
        "",
        "| box | smallest | median | largest |",
        "|---|---|---|---|",
        *(
            f"| {name} | {value['min']} | {value['median']} | {value['max']} |"
            for name, value in card["boxes"].items()
            if name != "num"
        ),
    ]
    scores = [f"- {k}: {v}" for k, v in card["scores"].items() if isinstance(v, int | float | str)]
    if scores:
        lines += ["", "## Filter scores", "", *scores]
    return "\n".join(lines) + "\n"
