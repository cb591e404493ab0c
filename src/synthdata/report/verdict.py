"""The metrics of the report: the one place that calls the statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from synthdata.config.report import ReportConfig
from synthdata.errors import ConfigError, RunError
from synthdata.evaluation import compare_arms, recovered_fraction
from synthdata.looks import read_run_looks
from synthdata.manifest import load_dataset
from synthdata.report import wording
from synthdata.report.costs import image_seconds, stage_timings
from synthdata.report.environment import describe_environment
from synthdata.report.resampling import ImageBootstrap, resample_images
from synthdata.report.run import Run

RECOMMENDED_SEEDS = 5
_NOTHING_LEARNT = 0.01
_FEW_IMAGES = 50
_FREE_BASELINES = ("copy_paste", "synthetic_random_drop")


def evaluate_run(section: ReportConfig, run: Run, *, run_dir: Path) -> dict[str, Any]:
    """Compare the arms over all repetitions.

    Args:
        section: What is compared with what, named before the run.
        run: The finished run.
        run_dir: Holds the log of the looks at test.

    Returns:
        Values for `metrics.json`; None stands where a number doesn't exist.

    Raises:
        ConfigError: If an arm that the section names was not trained.
        RunError: If the repetitions were not scored on the same split.
    """
    arms = run.arms()
    _check_arms(section, arms)
    split = _evaluation_split(run)
    scores = _scores(run, arms)
    chosen = _headline_arm(section, arms)
    bootstrap = resample_images(run, arms, num_resamples=section.bootstrap_samples)
    statistics = _compare(section, bootstrap, scores, reference=section.reference)
    metrics: dict[str, Any] = {
        "reference": section.reference,
        "headline_arm": chosen,
        "evaluation_split": split,
        "seeds": list(run.seeds),
        "provisional": len(run.seeds) < RECOMMENDED_SEEDS,
        "confidence": section.confidence,
        "minimum_gain": section.minimum_gain,
        "bootstrap_samples": section.bootstrap_samples,
        "class_names": list(load_dataset(run.first("prepare").path).class_names),
        "arms": {arm: _arm(run, scores, arm, statistics.get(arm)) for arm in arms},
        "contrasts": _contrasts(section, bootstrap, scores, chosen),
        "conditional_on": list(run.shared_stages()),
        "layout_score": _layout_score(run),
        "timings_s": stage_timings(run),
        "test_looks": read_run_looks(run_dir),
        "warnings": _warnings(section, run, scores),
        "environment": describe_environment(run),
    }
    _add_costs(metrics, run, scores)
    metrics["verdict"] = metrics["arms"][chosen]["verdict"] if chosen else None
    metrics["headline"] = wording.headline(metrics)
    metrics["notes"] = wording.notes(metrics)
    return metrics


def _layout_score(run: Run) -> dict[str, Any]:
    """Return what the judge of the first repetition found."""
    measured = run.first("score").metrics
    return {name: measured[name] for name in ("score", "shuffled_score", "per_class", "boxes")}


def _check_arms(section: ReportConfig, arms: Sequence[str]) -> None:
    for name, arm in (("reference", section.reference), ("headline", section.headline)):
        if arm is not None and arm not in arms:
            raise ConfigError(
                f"report.{name} is {arm!r}, which is not among the arms that every repetition "
                f"trained: {', '.join(arms)}"
            )


def _headline_arm(section: ReportConfig, arms: Sequence[str]) -> str | None:
    candidates = (section.headline, "synthetic_filtered", "synthetic")
    return next((arm for arm in candidates if arm in arms and arm != section.reference), None)


def _evaluation_split(run: Run) -> str:
    splits = {str(folder.metrics["evaluation_split"]) for folder in run.of("train")}
    if len(splits) != 1:
        raise RunError(
            f"the repetitions were scored on different splits ({', '.join(sorted(splits))}); "
            "run train for all seeds with the same train.evaluation_split"
        )
    return splits.pop()


def _scores(run: Run, arms: Sequence[str]) -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": folder.seed, "map50_95": folder.metrics["arms"][arm]["map50_95"]}
        for folder in run.of("train")
        for arm in arms
    ]
    return pd.DataFrame(rows)


def _arm(
    run: Run, scores: pd.DataFrame, arm: str, statistics: Mapping[str, Any] | None
) -> dict[str, Any]:
    results = [folder.metrics["arms"][arm] for folder in run.of("train")]
    nothing = dict.fromkeys(("difference", "low", "high", "p", "p_holm", "seeds_needed"), None) | {
        "verdict": "reference",
        "difference_by_seed": {},
    }
    return {
        **(nothing if statistics is None else statistics),
        "map50_95": fmean(r["map50_95"] for r in results),
        "map50": fmean(r["map50"] for r in results),
        "map75": fmean(r["map75"] for r in results),
        "per_class": {
            name: _mean_or_none([r["per_class"][name] for r in results])
            for name in results[0]["per_class"]
        },
        "map50_95_by_seed": _by_seed(scores, arm),
        "seeds": len(results),
        "num_images": fmean(r["num_images"] for r in results),
        "train_s": fmean(r["seconds"] for r in results),
    }


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else None


def _by_seed(scores: pd.DataFrame, arm: str) -> dict[str, float]:
    rows = scores[scores["arm"] == arm]
    return {str(s): float(v) for s, v in zip(rows["seed"], rows["map50_95"], strict=True)}


def _compare(
    section: ReportConfig, bootstrap: ImageBootstrap, scores: pd.DataFrame, *, reference: str
) -> dict[str, dict[str, Any]]:
    """Return each other arm's paired difference to `reference`, as JSON values."""
    others = [arm for arm in scores["arm"].unique() if arm != reference]
    if not others:
        return {}
    table = compare_arms(
        scores,
        reference=reference,
        image_variance=bootstrap.variances(others, reference=reference),
        minimum_gain=section.minimum_gain,
        confidence=section.confidence,
    )
    by_seed = scores.pivot(index="seed", columns="arm", values="map50_95")
    return {
        str(row["arm"]): {
            **{name: _number(row[name]) for name in ("difference", "low", "high", "p", "p_holm")},
            "seeds_needed": None if pd.isna(row["seeds_needed"]) else int(row["seeds_needed"]),
            "seeds": int(row["seeds"]),
            "verdict": str(row["verdict"]),
            "difference_by_seed": {
                str(seed): float(value)
                for seed, value in (by_seed[row["arm"]] - by_seed[reference]).items()
            },
        }
        for row in table.to_dict("records")
    }


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if pd.isna(value) else float(value)


def _contrasts(
    section: ReportConfig, bootstrap: ImageBootstrap, scores: pd.DataFrame, chosen: str | None
) -> list[dict[str, Any]]:
    """Return the chosen arm's difference to each free baseline, Holm over these."""
    free = [arm for arm in _FREE_BASELINES if arm in set(scores["arm"])]
    if chosen != "synthetic_filtered":  # a random drop is the twin of a filter only
        free = [arm for arm in free if arm != "synthetic_random_drop"]
    free = [arm for arm in free if arm != section.reference]
    if chosen is None or not free:
        return []
    rows = _compare(
        section, bootstrap, scores[scores["arm"].isin([chosen, *free])], reference=chosen
    )
    return [_turned_round(section, rows[arm], arm) for arm in free]


def _turned_round(section: ReportConfig, row: Mapping[str, Any], against: str) -> dict[str, Any]:
    """Return a baseline's difference to the chosen arm as the chosen arm's to the baseline."""
    turned = {
        **row,
        "against": against,
        "difference": -row["difference"],
        "low": None if row["high"] is None else -row["high"],
        "high": None if row["low"] is None else -row["low"],
        "difference_by_seed": {s: -value for s, value in row["difference_by_seed"].items()},
    }
    return turned | {"verdict": _standing(section, turned)}


def _standing(section: ReportConfig, row: Mapping[str, Any]) -> str:
    """Return where the chosen arm stands; the same rule for both sides."""
    if row["low"] is None:
        return "undecided"
    if -section.minimum_gain < row["low"] and row["high"] < section.minimum_gain:
        return "level"
    if row["p_holm"] >= 1 - section.confidence:
        return "undecided"
    return "ahead" if row["difference"] > 0 else "behind"


def _add_costs(metrics: dict[str, Any], run: Run, scores: pd.DataFrame) -> None:
    """Add what each arm's images cost, and its share of the oracle's gain."""
    # A share of a gain that isn't shown to exist means nothing.
    shown = metrics["arms"].get("oracle", {}).get("verdict") == "helps"
    shares = recovered_fraction(scores, reference=metrics["reference"]) if shown else {}
    # Against another choice of the same images their making isn't what a gain costs.
    same_images = metrics["reference"].startswith("synthetic")
    for arm, row in metrics["arms"].items():
        seconds = None if same_images else image_seconds(run, arm)
        row["cost_s"] = seconds
        # A gain that isn't shown has no price.
        row["cost_s_per_point"] = (
            seconds / (100 * row["difference"])
            if row["verdict"] == "helps" and seconds is not None
            else None
        )
        row["oracle_recovery"] = shares.get(arm)


def _warnings(section: ReportConfig, run: Run, scores: pd.DataFrame) -> list[str]:
    arms = scores["arm"].unique()
    found = []
    if scores["map50_95"].max() < _NOTHING_LEARNT:
        found.append(
            f"No detector of any arm reached {_NOTHING_LEARNT} mAP50-95: nothing was learnt, so "
            "nothing can be concluded; train longer, or on more images."
        )
    if len(run.seeds) < RECOMMENDED_SEEDS:
        found.append(
            f"{len(run.seeds)} repetition{'s' * (len(run.seeds) != 1)}: fewer than the "
            f"{RECOMMENDED_SEEDS} recommended for a claim."
        )
    if not section.bootstrap_samples:
        found.append(
            "report.bootstrap_samples is 0, so that the intervals leave out the chance of which "
            "images were scored."
        )
    num_images = run.first("train").metrics["num_evaluation_images"]
    if num_images < _FEW_IMAGES:
        found.append(
            f"Only {num_images} image{'s' * (num_images != 1)} were scored, too few to tell by "
            "resampling what others would have given: the intervals are too narrow."
        )
    found += _places_missing(run)
    trained = [folder.metrics["arms"] for folder in run.of("train")]
    left_out = sorted({arm for metrics in trained for arm in metrics} - set(arms))
    if left_out:
        found.append(f"Left out, since not every repetition trained them: {', '.join(left_out)}.")
    if len({metrics[arm]["steps"] for metrics in trained for arm in arms}) > 1:
        found.append("The arms were trained with different numbers of steps: not equal work.")
    return found


def _places_missing(run: Run) -> list[str]:
    """Say which arms don't hold all of their images: `synthetic` isn't the whole pool then."""
    lists = {arm: row["training_list"] for arm, row in run.first("version").metrics["arms"].items()}
    return [
        f"{wording.arm_title(arm)}: {row['images_left_out']} of its images, drawn at random, have "
        "no place in its list; raise version.list_length to train on all."
        for arm, row in lists.items()
        if row["images_left_out"]
    ]
