"""Data cards: what an arm consists of and where it comes from, for people and programs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synthdata.armfolder import list_name
from synthdata.boxes import FloatArray, area
from synthdata.config.arms import KEEP_FILTERED, KEEP_RANDOM, ArmConfig
from synthdata.config.version import VersionConfig
from synthdata.files import read_json, sha256_json
from synthdata.formats.markdown import escape
from synthdata.runfolder import METRICS, read_section
from synthdata.runfolder.key import effective_settings
from synthdata.versioning.arms import Arm, TrainingList

_LICENCES = {
    "digits": "scikit-learn's digits (UCI Optical Recognition of Handwritten Digits), CC BY 4.0",
    "bccd": "BCCD, MIT",
}
_KEPT: Mapping[str | None, str] = {
    KEEP_FILTERED: "what all filters keep",
    KEEP_RANDOM: "as many as all filters keep, drawn at random",
}
_UNKNOWN_LICENCE = "not known to synthdata; state it yourself before you share this data"


@dataclass(frozen=True)
class Provenance:
    """Where an arm's images come from.

    Attributes:
        dataset: The real data's kind or folder.
        licence: Of the real data.
        sections: Resolved config section of each stage that made them.
        scores: What the filter stage measured, by pool.
    """

    dataset: str = "unknown"
    licence: str = _UNKNOWN_LICENCE
    sections: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_provenance(inputs: Mapping[str, Path]) -> Provenance:
    """Return the provenance that finished stages' folders tell, by stage name.

    Args:
        inputs: Stage name to folder; `prepare` gives the source, `filter` the scores.
    """
    sections = {name: read_section(folder) for name, folder in sorted(inputs.items())}
    source = sections.get("prepare", {}).get("source", {})
    kind = str(source.get("kind", "unknown"))
    scores = read_json(inputs["filter"] / METRICS)["pools"] if "filter" in inputs else {}
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

    `scores` has what the filter stage measured of the pools that the arm takes images from.
    """
    samples = [image.sample for image in arm.images]
    objects = sum(
        (sample.annotations.counts(len(class_names)) for sample in samples),
        np.zeros(len(class_names), np.int64),
    )
    # Neither what has no effect on the data, such as the remote, nor what detectors are scored on.
    own = {name: value for name, value in effective_settings(section).items() if name != "shifted"}
    sections = {**provenance.sections, "version": own}
    return {
        "arm": arm.name,
        "recipe": arm.recipe.model_dump(mode="json"),
        "num_images": len(samples),
        "images_by_origin": dict(sorted(Counter(s.origin for s in samples).items())),
        "images_by_split": dict(sorted(Counter(s.split for s in samples).items())),
        "objects_per_class": dict(zip(class_names, objects.tolist(), strict=True)),
        "boxes": _box_statistics(np.concatenate([s.annotations.xyxy for s in samples])),
        "training_lists": {
            list_name(phase): _list_statistics(arm, one) for phase, one in enumerate(arm.lists)
        },
        "images_left_out": dict(arm.left_out),
        "sources": {
            "dataset": provenance.dataset,
            "licence": provenance.licence,
            "pools": sorted(arm.recipe.pools),
            "pool_config_sha256": sorted({s.config_sha256 for s in samples if s.pool}),
            "filter": _what_is_kept(arm.recipe),
        },
        "config_sha256": sha256_json(sections),
        "config": sections,
        "scores": {
            pool: dict(provenance.scores[pool])
            for pool in sorted(arm.recipe.pools & provenance.scores.keys())
        },
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


def _what_is_kept(recipe: ArmConfig) -> str:
    """Return what the filter stage has to do with an arm's images, in words."""
    return "; ".join(
        f"of {pool} " + _KEPT.get(part.keep, f"the choice of the {part.keep} filter alone")
        for pool, part in recipe.extras()
        if part.keep is not None
    )


def _list_statistics(arm: Arm, training: TrainingList) -> dict[str, Any]:
    repeats = np.bincount(training.order, minlength=len(arm.images))
    parts = np.array([image.part for image in arm.images])
    statistics: dict[str, Any] = {
        "length": len(training.order),
        "steps": training.steps,
        "learning_rate": training.learning_rate,
        "parts": {},
    }
    for name in dict.fromkeys(parts.tolist()):
        group = repeats[(parts == name) & (repeats > 0)]
        if len(group):
            statistics["parts"][name] = {
                "images": len(group),
                "places": int(group.sum()),
                "repeats_min": int(group.min()),
                "repeats_max": int(group.max()),
            }
    return statistics


def render_card(card: Mapping[str, Any]) -> str:
    """Return a card as Markdown; the config and nested scores stay in the JSON form."""
    sources = card["sources"]
    lines = [
        f"# Data card: arm `{card['arm']}`",
        "",
        f"{card['num_images']} images "
        f"({', '.join(f'{n} {origin}' for origin, n in card['images_by_origin'].items())}), "
        f"{card['boxes']['num']} objects.",
        "",
        "## Sources",
        "",
        f"- Real data: {escape(sources['dataset'])}. Licence: {escape(sources['licence'])}.",
        f"- Pools: {', '.join(sources['pools']) or 'none'}.",
        f"- Filter: {sources['filter'] or 'none'}.",
        f"- Config: sha256 `{card['config_sha256']}` (in full in `card.json`).",
        "",
        *_list_lines(card),
        "## Objects",
        "",
        "| class | objects |",
        "|---|---|",
        *(f"| {escape(name)} | {count} |" for name, count in card["objects_per_class"].items()),
        "",
        "| box | smallest | median | largest |",
        "|---|---|---|---|",
        *(
            f"| {name} | {value['min']} | {value['median']} | {value['max']} |"
            for name, value in card["boxes"].items()
            if name != "num"
        ),
    ]
    scores = [
        f"- {pool}, {name}: {value}"
        for pool, values in card["scores"].items()
        for name, value in values.items()
        if isinstance(value, int | float | str)
    ]
    if scores:
        lines += ["", "## Filter scores", "", *scores]
    return "\n".join(lines) + "\n"


def _list_lines(card: Mapping[str, Any]) -> Iterator[str]:
    several = len(card["training_lists"]) > 1
    for number, training in enumerate(card["training_lists"].values(), start=1):
        yield f"## Training list{f' of phase {number}' if several else ''}"
        yield ""
        phase = (
            f"{training['steps']:.0%} of the steps, learning rate times "
            f"{training['learning_rate']:g}; "
        )
        yield f"{phase if several else ''}{training['length']} places, filled by repeats."
        yield ""
        yield "| part | images | places | fewest repeats | most repeats |"
        yield "|---|---|---|---|---|"
        for name, part in training["parts"].items():
            numbers = (part[k] for k in ("images", "places", "repeats_min", "repeats_max"))
            yield f"| {name} | {' | '.join(map(str, numbers))} |"
        yield ""
    left_out = ", ".join(f"{number} of {pool}" for pool, number in card["images_left_out"].items())
    if left_out:
        yield f"Left out, for want of places: {left_out}."
        yield ""
