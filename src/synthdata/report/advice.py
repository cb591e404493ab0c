"""Which training set a run advises, as values for the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from synthdata.config.report import ReportConfig
from synthdata.report.costs import image_seconds
from synthdata.report.resampling import resample_images, score_halves
from synthdata.report.run import Run
from synthdata.verdict import CrossFit, Kind, advise, choose, cross_fit

SEARCHED_ON: Final = "val"  # see `synthdata.search`


def advice(
    section: ReportConfig,
    run: Run,
    results: pd.DataFrame,
    *,
    evaluation_set: str,
    extensions: int,
) -> dict[str, Any]:
    """Return the fields of `synthdata.verdict.Advice`, and how the arm was chosen.

    An arm is chosen by `report.selection`, a search's scores on val, where the config has them;
    what it brings is then judged on any other set. Else the run's own scores choose, which can't
    say what the arm brings; what such a choice brings is then told by cross-fitting.

    Args:
        section: Recipes, and the search's scores.
        run: The finished run.
        results: Columns `arm`, `seed`, `map50_95`.
        evaluation_set: What they are scored on.
        extensions: How often seeds were added after a verdict.
    """
    selection = _selection(section)
    arms = _by_cost(section, run, among=section.selection or section.arms)
    reference = next(arm for arm, kind in arms.items() if kind == "reference")
    choice = choose(results if selection is None else selection, arms=arms, reference=reference)
    variance, num_images = None, None
    fresh_images = evaluation_set != SEARCHED_ON
    if selection is not None and fresh_images and choice.contrasts:
        variance, num_images = _image_variance(section, run, evaluation_set, choice.contrasts)
    found = advise(
        results,
        arms=arms,
        selection=selection,
        reference=reference,
        image_variance=variance,
        num_images=num_images,
        minimum_gain=section.minimum_gain,
        confidence=section.confidence,
        extensions=extensions,
        fresh_images=fresh_images,
        titles={name: arm.title or name for name, arm in section.arms.items()},
    )
    crossed = None
    if selection is None:
        crossed = _cross_fit(section, run, arms, reference, evaluation_set)
    return {
        **asdict(found),
        "best_free": choice.free,
        "chosen_by": evaluation_set if selection is None else "search",
        "cross_fit": None if crossed is None else _finite(asdict(crossed)),
    }


def _selection(section: ReportConfig) -> pd.DataFrame | None:
    rows = [
        {"arm": arm, "seed": seed, "map50_95": score}
        for arm, by_seed in section.selection.items()
        for seed, score in by_seed.items()
    ]
    return pd.DataFrame(rows) if rows else None


def _by_cost(section: ReportConfig, run: Run, *, among: Mapping[str, object]) -> dict[str, Kind]:
    """Return arms and their kinds; of one kind, those whose images took less come first."""
    arms = {name: arm for name, arm in section.arms.items() if name in among}
    seconds = {name: image_seconds(run, arm) or 0.0 for name, arm in arms.items()}
    kinds: dict[str, Kind] = {}
    for name in sorted(arms, key=lambda name: seconds[name]):
        role = arms[name].role
        if role is not None:  # filled in by the plan
            kinds[name] = role
    return kinds


def _image_variance(
    section: ReportConfig, run: Run, evaluation_set: str, contrasts: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[str, str], float] | None, int | None]:
    tested = list(dict.fromkeys(arm for pair in contrasts for arm in pair))
    resampled = resample_images(
        run, evaluation_set, tested, num_resamples=section.bootstrap_samples
    )
    return resampled.variances(contrasts), resampled.num_units


def _cross_fit(
    section: ReportConfig,
    run: Run,
    arms: Mapping[str, Kind],
    reference: str,
    evaluation_set: str,
) -> CrossFit | None:
    """Return what a choice among the arms brings; None where there are no halves to judge by."""
    if len(run.seeds) < 2:
        return None
    advisable = {arm: kind for arm, kind in arms.items() if kind != "ceiling"}
    halves = score_halves(run, evaluation_set, list(advisable))
    if any(half["map50_95"].isna().any() for half in halves):  # a half without any object
        return None
    fitted = cross_fit(halves, arms=advisable, reference=reference, confidence=section.confidence)
    contrasts = [(arm, reference) for arm in dict.fromkeys(fitted.chosen) if arm != reference]
    if not contrasts:
        return fitted
    variance, num_images = _image_variance(section, run, evaluation_set, contrasts)
    return cross_fit(
        halves,
        arms=advisable,
        reference=reference,
        image_variance=variance,
        num_images=num_images,
        confidence=section.confidence,
    )


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values, with None for NaN."""
    return {
        name: _finite(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and np.isnan(value)
        else value
        for name, value in values.items()
    }
