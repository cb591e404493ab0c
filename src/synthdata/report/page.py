"""`report.html`: one file that loads nothing, not even a script."""

from collections.abc import Mapping
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from synthdata import __version__
from synthdata.config import STAGES
from synthdata.config.report import ReportConfig
from synthdata.report import figures, numerals, tables, wording
from synthdata.report.fidelity import fidelity_tables
from synthdata.report.gallery import build_gallery
from synthdata.report.run import Run

_MARKS = {
    "helps": "▲", "ahead": "▲", "hurts": "▼", "behind": "▼", "no_gain": "■",
    "level": "■", "inconclusive": "◆", "undecided": "◆", "reference": "●",
}  # fmt: skip
_STANDINGS = ("ahead", "behind", "level", "undecided")  # of the chosen arm against a baseline
_VERDICTS = {**wording.VERDICT_TITLES, **dict(zip(_STANDINGS, _STANDINGS, strict=True))}
# A table of more classes than that is wider than any screen; they go into a second one.
MAX_CLASS_COLUMNS = 8


def render_page(run: Run, metrics: Mapping[str, Any], *, section: ReportConfig, name: str) -> str:
    """Return the report as HTML.

    Args:
        run: The finished run, for images, scores, losses and configs.
        metrics: What `evaluate_run` returned.
        section: How the report was asked for.
        name: The experiment's.
    """
    environment = Environment(
        loader=PackageLoader("synthdata.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "arm_title": wording.arm_title,
        "duration": numerals.duration,
        "ink": figures.ink,
        "measured": numerals.measured,
        "interval": lambda row: wording.interval(row, metrics["confidence"]),
        "p_value": numerals.p_value,
        "percent": numerals.percent,
        "score": numerals.score,
        "signed": numerals.signed,
        "unbroken": _unbroken,
    }
    environment.globals |= {"marks": _MARKS, "verdict_titles": _VERDICTS}
    context = {
        **_verdict_context(metrics),
        **_run_context(run, metrics),
        "name": name,
        "version": __version__,
        "configs": _configs(run, section),
        "gallery": build_gallery(run, num_images=section.gallery_images),
    }
    return environment.get_template("report.html.j2").render(context)


def _unbroken(text: str) -> Markup:
    """Return escaped text in which the metric's name is never broken at its hyphen."""
    return Markup(escape(text).replace("mAP50-95", Markup("<span class=nb>mAP50-95</span>")))  # noqa: S704


def _verdict_context(metrics: Mapping[str, Any]) -> dict[str, Any]:
    arms = metrics["arms"]
    chosen = arms.get(metrics["headline_arm"])
    return {
        "metrics": metrics,
        "chosen": chosen,
        "chosen_title": wording.arm_title(metrics["headline_arm"] or ""),
        "reference_title": wording.arm_title(metrics["reference"]),
        "confidence": metrics["confidence"],
        "minimum_gain": metrics["minimum_gain"],
        "key_numbers": _key_numbers(metrics),
        "arms_forest": figures.arms_forest(metrics),
        "contrasts_forest": figures.contrasts_forest(metrics),
        "arm_inks": {arm: figures.ink(arm) for arm in arms},
        "costs": [(a, r) for a, r in arms.items() if r["cost_s"] is not None],
        "method": wording.method(metrics),
        "total_time": sum(metrics["timings_s"].values()),
    }


def _key_numbers(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the few numbers that stand under the headline."""
    shown = dict.fromkeys([metrics["reference"], "copy_paste", metrics["headline_arm"], "oracle"])
    numbers = []
    for arm, row in ((arm, metrics["arms"][arm]) for arm in shown if arm in metrics["arms"]):
        gain = "" if row["difference"] is None else f"{numerals.signed(row['difference'])} "
        numbers.append(
            {
                "title": wording.arm_title(arm),
                "value": numerals.score(row["map50_95"]),
                "note": f"{gain}mAP50-95",
            }
        )
    chosen = metrics["arms"].get(metrics["headline_arm"])
    if chosen and chosen["cost_s_per_point"] is not None:
        cost = numerals.duration(chosen["cost_s_per_point"])
        numbers.append({"title": "Cost", "value": cost, "note": "a point of mAP50-95"})
    return numbers


def _run_context(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    class_names, splits = tables.split_table(run)
    many = len(class_names) > MAX_CLASS_COLUMNS
    source = run.first("prepare").section["source"]
    return {
        "source": str(source.get("path", source["kind"])),
        "all_class_names": class_names,
        "class_names": () if many else class_names,
        "splits": splits,
        "has_reserve": any(row.split == "reserve" for row in splits),
        "data_problems": tables.data_problems(run.first("prepare")),
        "histograms": figures.filter_histograms(run),
        "score": run.first("score").metrics,
        "fidelity": fidelity_tables(run.first("score").metrics.get("fidelity")),
        "filter_table": tables.filter_table(run.first("filter"), class_names),
        "generator_curves": figures.generator_curves(run),
        "detector_curves": figures.detector_curves(run, list(metrics["arms"])),
        "times": tables.time_rows(run, metrics["timings_s"]),
        "environment": [*metrics["environment"].items()],
        "stage_facts": [
            (stage, tables.facts(run.first(stage)))
            for stage in ("prepare", "fit", "layout", "generate", "version")
        ],
    }


def _configs(run: Run, section: ReportConfig) -> list[tuple[str, str, str]]:
    """Return each stage's name, the beginning of its key, and its config as YAML."""
    folders = [run.first(stage) for stage in STAGES[:-1]]
    resolved = [(folder.stage, folder.key[:12], folder.section) for folder in folders]
    resolved.append(("report", "", section.model_dump(mode="json")))
    return [
        (stage, key, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
        for stage, key, values in resolved
    ]
