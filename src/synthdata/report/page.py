"""`report.html`: one file that loads nothing, not even a script."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from synthdata import __version__
from synthdata.config.report import ReportConfig
from synthdata.report import figures, numerals, tables, wording
from synthdata.report.fidelity import fidelity_tables
from synthdata.report.gallery import build_gallery
from synthdata.report.run import Run

_MARKS = {"helps": "▲", "hurts": "▼", "no_gain": "■", "inconclusive": "◆"}
# A table of more classes than that is wider than any screen; they go into a second one.
MAX_CLASS_COLUMNS = 8
_MAX_KEY_NUMBERS = 5


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
        "duration": numerals.duration,
        "measured": numerals.measured,
        "interval": partial(wording.interval, confidence=metrics["confidence"]),
        "p_value": numerals.p_value,
        "percent": numerals.percent,
        "score": numerals.score,
        "signed": numerals.signed,
        "unbroken": _unbroken,
    }
    environment.globals |= {"marks": _MARKS, "verdict_titles": wording.VERDICT_TITLES}
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
    arms, contrasts = metrics["arms"], metrics["contrasts"]
    return {
        "metrics": metrics,
        "chosen": contrasts[0]["arm"] if contrasts else None,
        "confidence": metrics["confidence"],
        "minimum_gain": metrics["minimum_gain"],
        "key_numbers": _key_numbers(metrics),
        "ink": figures.inks(arms),
        "role_titles": wording.ROLE_TITLES,
        "contrast_title": partial(wording.contrast_title, metrics),
        "arms_forest": figures.arms_forest(metrics),
        "contrasts_forests": {
            name: figures.contrasts_forest(metrics, scored["contrasts"])
            for name, scored in _scored_sets(metrics).items()
            if scored["contrasts"]
        },
        "costs": [row for row in arms.values() if row["cost_s"] is not None],
        "method": wording.method(metrics),
        "total_time": sum(metrics["timings_s"].values()),
    }


def _scored_sets(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the results on each evaluation set, the split first."""
    return {metrics["evaluation_split"]: metrics, **metrics["shifted"]}


def _key_numbers(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the few numbers that stand under the headline: of all arms that contrasts name."""
    arms = metrics["arms"]
    tested = [row[side] for row in metrics["contrasts"] for side in ("against", "arm")]
    ceilings = [name for name, row in arms.items() if row["role"] == "ceiling"]
    numbers = []
    for arm in list(dict.fromkeys([metrics["reference"], *tested, *ceilings]))[:_MAX_KEY_NUMBERS]:
        row = arms[arm]
        gain = "" if row["difference"] is None else f"{numerals.signed(row['difference'])} "
        numbers.append(
            {
                "title": row["title"],
                "value": numerals.score(row["map50_95"]),
                "note": f"{gain}mAP50-95",
            }
        )
    price = metrics["contrasts"][0]["cost_s_per_point"] if metrics["contrasts"] else None
    if price is not None:
        cost = numerals.duration(price)
        numbers.append({"title": "Cost", "value": cost, "note": "per point of mAP50-95"})
    return numbers


def _run_context(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    class_names, splits = tables.split_table(run)
    many = len(class_names) > MAX_CLASS_COLUMNS
    source = run.first("prepare").section["source"]
    score = run.first("score").metrics if run.has("score") else None
    return {
        "source": str(source.get("path", source["kind"])),
        "all_class_names": class_names,
        "class_names": () if many else class_names,
        "splits": splits,
        "has_reserve": any(row.split == "reserve" for row in splits),
        "data_problems": tables.data_problems(run.first("prepare")),
        "score": score,
        "fidelity": fidelity_tables(score.get("fidelity")) if score else (),
        "filters": _filters(run, class_names),
        "generator_curves": figures.generator_curves(run),
        "detector_curves": figures.detector_curves(run, list(metrics["arms"])),
        "times": tables.time_rows(run, metrics["timings_s"]),
        "environment": [*metrics["environment"].items()],
        "stage_facts": [
            (stage, tables.facts(run.first(stage)))
            for stage in run.stages()
            if stage in ("prepare", "fit", "layout", "generate", "version")
        ],
    }


def _filters(run: Run, class_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what the filters found of each pool that they looked at."""
    pools = run.first("filter").metrics["pools"] if run.has("filter") else {}
    return {
        pool: {
            "histograms": figures.filter_histograms(run, pool),
            "table": tables.filter_table(measured, class_names),
        }
        for pool, measured in pools.items()
    }


def _configs(run: Run, section: ReportConfig) -> list[tuple[str, str, str]]:
    """Return each stage's name, the beginning of its key, and its config as YAML."""
    folders = [run.first(stage) for stage in run.stages()]
    resolved = [(folder.stage, folder.key[:12], folder.section) for folder in folders]
    resolved.append(("report", "", section.model_dump(mode="json")))
    return [
        (stage, key, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
        for stage, key, values in resolved
    ]
