"""The metrics of the report: the one place that calls the statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from synthdata.config.report import ReportConfig
from synthdata.errors import RunError
from synthdata.files import sha256_json
from synthdata.looks import read_looks
from synthdata.manifest import load_dataset
from synthdata.report import wording
from synthdata.report.advice import advice
from synthdata.report.cautions import RECOMMENDED_SEEDS, cautions
from synthdata.report.costs import image_seconds, stage_timings
from synthdata.report.environment import describe_environment
from synthdata.report.resampling import resample_images
from synthdata.report.run import Run, StageFolder
from synthdata.verdict import compare_arms, recovered_fraction
from synthdata.verdict_log import count_extensions, log_verdict


@dataclass(frozen=True)
class EvaluationSet:
    """What the trainings scored on one set of images.

    Attributes:
        name: `val`, `test`, or a shifted set's name.
        digest: Of its images.
        results: Per seed, arm to the scores of `DetectionMetrics`.
    """

    name: str
    digest: str
    results: Mapping[int, Mapping[str, Mapping[str, Any]]]

    def frame(self, arms: Sequence[str]) -> pd.DataFrame:
        """Return columns `arm`, `seed`, `map50_95`."""
        rows = [
            {"arm": arm, "seed": seed, "map50_95": by_arm[arm]["map50_95"]}
            for seed, by_arm in self.results.items()
            for arm in arms
        ]
        return pd.DataFrame(rows, columns=["arm", "seed", "map50_95"])


def evaluate_run(section: ReportConfig, run: Run, *, run_dir: Path) -> dict[str, Any]:
    """Compare the arms over all repetitions.

    Args:
        section: The arms, and the contrasts that were named before the run.
        run: The finished run.
        run_dir: `runs/<name>`, which holds the log of verdicts; that of looks is beside it.

    Returns:
        Values for `metrics.json`; None stands where a number doesn't exist.

    Raises:
        RunError: If an arm wasn't trained, or the repetitions were scored on different sets.
    """
    _check_arms(section, run)
    split, *shifted = evaluation_sets(run)
    experiment = experiment_digest(section, run)
    extensions = count_extensions(
        run_dir, digest=split.digest, experiment=experiment, seeds=run.seeds
    )
    reference = next(name for name, arm in section.arms.items() if arm.role == "reference")
    metrics: dict[str, Any] = {
        "reference": reference,
        "evaluation_split": split.name,
        "seeds": list(run.seeds),
        "provisional": len(run.seeds) < RECOMMENDED_SEEDS,
        "extensions": extensions,
        "confidence": section.confidence,
        "minimum_gain": section.minimum_gain,
        "bootstrap_samples": section.bootstrap_samples,
        "class_names": list(load_dataset(run.first("prepare").path).class_names),
        "arms": {name: _arm(section, run, name) for name in section.arms},
        **_judge(section, run, split, reference, extensions),
        "shifted": {one.name: _judge(section, run, one, reference, extensions) for one in shifted},
        "conditional_on": list(run.shared_stages()),
        "layout_score": _layout_score(run),
        "timings_s": stage_timings(run),
        "looks": {
            one.name: [look.to_json() for look in read_looks(run_dir.parents[1], digest=one.digest)]
            for one in (split, *shifted)
        },
        "warnings": cautions(section, run, split.frame(list(section.arms))),
        "environment": describe_environment(run),
    }
    for name, row in metrics["scores"].items():
        metrics["arms"][name] |= row
    del metrics["scores"]
    _add_costs(metrics)
    metrics["recovery"] = _recovery(section, split, reference)
    metrics["advice"] = advice(
        section,
        run,
        split.frame(list(section.arms)),
        evaluation_set=split.name,
        extensions=extensions,
    )
    metrics["verdict"] = metrics["contrasts"][0]["verdict"] if metrics["contrasts"] else None
    metrics["headline"] = wording.headline(metrics)
    metrics["notes"] = wording.notes(metrics)
    if metrics["contrasts"] or metrics["advice"]["verdict"]:
        log_verdict(run_dir, digest=split.digest, experiment=experiment, seeds=run.seeds)
    return metrics


def experiment_digest(section: ReportConfig, run: Run) -> str:
    """Return the digest of what is asked, but for which repetitions there are.

    How the report shows it, or which gain is worth having, starts no new count of extensions.
    """
    sections = [{**run.first(stage).section, "seed": None} for stage in run.stages()]
    return sha256_json([*sections, section.contrasts])


def evaluation_sets(run: Run) -> list[EvaluationSet]:
    """Return the sets that every repetition was scored on, the split first.

    Raises:
        RunError: If repetitions were scored on different splits, or on other images.
    """
    trained = run.of("train")
    splits = {str(folder.metrics["evaluation_split"]) for folder in trained}
    digests = {tuple(sorted(_digests(folder).items())) for folder in trained}
    if len(splits) != 1 or len(digests) != 1:
        raise RunError(
            "the repetitions were scored on different evaluation sets "
            f"({', '.join(sorted({*splits, *(n for one in digests for n, _ in one)}))}); run train "
            "for all seeds with the same evaluation sets"
        )
    split = splits.pop()
    return [
        EvaluationSet(
            name=name,
            digest=digest,
            results={
                folder.seed: folder.metrics["arms"]
                if name == split
                else folder.metrics["shifted"][name]
                for folder in trained
            },
        )
        for name, digest in sorted(_digests(trained[0]).items(), key=lambda item: item[0] != split)
    ]


def _digests(folder: StageFolder) -> dict[str, str]:
    return {name: str(one["digest"]) for name, one in folder.metrics["sets"].items()}


def _layout_score(run: Run) -> dict[str, Any] | None:
    """Return what the judge of the first repetition found; None where nothing was scored."""
    if not run.has("score"):
        return None
    measured = run.first("score").metrics
    return {name: measured[name] for name in ("score", "shuffled_score", "per_class", "boxes")}


def _check_arms(section: ReportConfig, run: Run) -> None:
    for folder in run.of("train"):
        missing = sorted(set(section.arms) - set(folder.metrics["arms"]))
        if missing:
            raise RunError(
                f"repetition {folder.seed} hasn't trained arm {missing[0]!r}, only "
                f"{sorted(folder.metrics['arms'])}; run train for all seeds first"
            )


def _arm(section: ReportConfig, run: Run, name: str) -> dict[str, Any]:
    """Return what an arm is and what its trainings took."""
    recipe = section.arms[name]
    trained = [folder.metrics["arms"][name] for folder in run.of("train")]
    return {
        "title": recipe.title,
        "role": recipe.role,
        "twin": recipe.twin,
        "seeds": len(trained),
        "num_images": fmean(one["num_images"] for one in trained),
        "train_s": fmean(one["seconds"] for one in trained),
        "cost_s": image_seconds(run, recipe),
    }


def _judge(
    section: ReportConfig, run: Run, scored: EvaluationSet, reference: str, extensions: int
) -> dict[str, Any]:
    """Return `scores` per arm and the judged `contrasts` on one evaluation set."""
    arms = list(section.arms)
    frame = scored.frame(arms)
    by_seed = frame.pivot(index="seed", columns="arm", values="map50_95")
    return {
        "scores": {arm: _scores(scored, by_seed, arm, reference) for arm in arms},
        "contrasts": _contrasts(section, run, scored, by_seed, extensions),
    }


def _scores(
    scored: EvaluationSet, by_seed: pd.DataFrame, arm: str, reference: str
) -> dict[str, Any]:
    """Return an arm's mean scores, and its difference to the reference, which isn't tested."""
    results = [by_arm[arm] for by_arm in scored.results.values()]
    gains = by_seed[arm] - by_seed[reference]
    is_other = arm != reference
    return {
        **{name: fmean(r[name] for r in results) for name in ("map50_95", "map50", "map75")},
        "per_class": {
            name: _mean_or_none([r["per_class"][name] for r in results])
            for name in results[0]["per_class"]
        },
        "map50_95_by_seed": _by_seed(by_seed[arm]),
        "difference": float(gains.mean()) if is_other else None,
        "difference_by_seed": _by_seed(gains) if is_other else {},
    }


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else None


def _by_seed(values: "pd.Series[float]") -> dict[str, float]:
    return {str(seed): float(value) for seed, value in values.items()}


def _contrasts(
    section: ReportConfig,
    run: Run,
    scored: EvaluationSet,
    by_seed: pd.DataFrame,
    extensions: int,
) -> list[dict[str, Any]]:
    """Return the named contrasts with interval, p and verdict, as JSON values."""
    if not section.contrasts:
        return []
    tested = list(dict.fromkeys(arm for pair in section.contrasts for arm in pair))
    resampled = resample_images(run, scored.name, tested, num_resamples=section.bootstrap_samples)
    variances = resampled.variances(section.contrasts)
    table = compare_arms(
        scored.frame(tested),
        contrasts=section.contrasts,
        image_variance=variances,
        num_images=resampled.num_units,
        minimum_gain=section.minimum_gain,
        confidence=section.confidence,
        extensions=extensions,
    )
    return [
        {
            "arm": str(row["arm"]),
            "against": str(row["against"]),
            **{name: _number(row[name]) for name in ("difference", "low", "high", "p", "p_holm")},
            "verdict": str(row["verdict"]),
            "seeds": int(row["seeds"]),
            "seeds_needed": None if pd.isna(row["seeds_needed"]) else int(row["seeds_needed"]),
            "difference_by_seed": _by_seed(by_seed[row["arm"]] - by_seed[row["against"]]),
            "image_variance": variances and variances[row["arm"], row["against"]],
            "num_images": resampled.num_units,
        }
        for row in table.to_dict("records")
    ]


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if pd.isna(value) else float(value)


def _add_costs(metrics: dict[str, Any]) -> None:
    """Add what a point of each contrast costs; a gain that isn't shown has no price."""
    for row in metrics["contrasts"]:
        seconds = metrics["arms"][row["arm"]]["cost_s"]
        is_price = row["verdict"] == "helps" and row["against"] == metrics["reference"]
        row["cost_s_per_point"] = (
            seconds / (100 * row["difference"]) if is_price and seconds is not None else None
        )


def _recovery(
    section: ReportConfig, scored: EvaluationSet, reference: str
) -> dict[str, dict[str, float]]:
    """Return, by ceiling, each arm's share of what the ceiling's real images gain.

    A share of a gain that may not exist means nothing: a ceiling counts where its gain is worth
    having and every repetition shows one.
    """
    frame = scored.frame(list(section.arms))
    by_seed = frame.pivot(index="seed", columns="arm", values="map50_95")
    found = {}
    for name, arm in section.arms.items():
        gains = by_seed[name] - by_seed[reference]
        if arm.role == "ceiling" and gains.min() > 0 and gains.mean() >= section.minimum_gain:
            found[name] = recovered_fraction(frame, ceiling=name, reference=reference)
    return found
