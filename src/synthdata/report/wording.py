"""The verdict in plain words, from the metrics alone."""

from collections.abc import Mapping
from typing import Any

from synthdata.report.numerals import NOTHING, duration, p_value, percent, plain, signed

Metrics = Mapping[str, Any]

ARM_TITLES: Mapping[str, str] = {
    "real": "Real only",
    "copy_paste": "Copy-paste",
    "synthetic": "Synthetic",
    "synthetic_filtered": "Synthetic, filtered",
    "synthetic_random_drop": "Synthetic, random drop",
    "oracle": "Oracle (more real images)",
}
VERDICT_TITLES: Mapping[str, str] = {
    "reference": "reference",
    "helps": "helps",
    "hurts": "hurts",
    "no_gain": "no gain",
    "inconclusive": "inconclusive",
}
# What repetitions share, and what else they repeat.
_STAGE_PHRASES: Mapping[str, str] = {
    "prepare": "draw of real images",
    "fit": "trained generator",
    "layout": "set of layouts",
    "generate": "set of generated images",
    "filter": "choice by the filters and by chance",
}


def arm_title(arm: str) -> str:
    """Return an arm's name for people."""
    if arm.startswith("synthetic_") and arm not in ARM_TITLES:
        return f"Synthetic, filter {arm.removeprefix('synthetic_')} alone"
    return ARM_TITLES.get(arm, arm.replace("_", " ").capitalize())


def interval(row: Metrics, confidence: float) -> str:
    """Return "95 % interval +0.012 to +0.070", or that there is none."""
    if row["low"] is None:
        return (
            "no interval from one repetition"
            if row["seeds"] < 2
            else ("no interval, since all seeds gave the same difference")
        )
    return f"{percent(confidence)} interval {signed(row['low'])} to {signed(row['high'])}"


def difference_cells(row: Metrics) -> list[str]:
    """Return an arm's difference, interval and p value as cells of a table."""
    if row["difference"] is None:
        return [NOTHING] * 3
    ends = NOTHING if row["low"] is None else f"{signed(row['low'])} to {signed(row['high'])}"
    return [signed(row["difference"]), ends, p_value(row["p_holm"])]


def headline(metrics: Metrics) -> dict[str, str]:
    """Return the verdict on the chosen synthetic arm: the `claim` and its `evidence`."""
    name = metrics["headline_arm"]
    if name is None:
        return {
            "claim": "This run trained no synthetic arm, so it says nothing about synthetic images",
            "evidence": "",
        }
    arm = metrics["arms"][name]
    reference = metrics["reference"]
    subject = "Filtered synthetic images" if name == "synthetic_filtered" else "Synthetic images"
    claim = {
        "helps": "help here",
        "hurts": "hurt here",
        "no_gain": "bring no gain worth having here",
        "inconclusive": "are not shown to help here",
    }[arm["verdict"]]
    if reference == "synthetic_random_drop":
        subject = "The filters"
        claim = {
            "helps": "beat a random drop here",
            "hurts": "do worse than a random drop here",
            "no_gain": "bring no gain worth having over a random drop here",
            "inconclusive": "are not shown to beat a random drop here",
        }[arm["verdict"]]
    if metrics["provisional"] and arm["verdict"] in ("helps", "hurts"):
        claim = f"seem to {claim}"
    if arm["verdict"] == "no_gain" and arm["high"] < 0:
        claim += ", and may do harm"
    evidence = (
        f"{plain(arm['map50_95'])} against {plain(metrics['arms'][reference]['map50_95'])} "
        f"for {arm_title(reference).lower()}; "
        f"{interval(arm, metrics['confidence'])}, {_repetitions(arm['seeds'])}"
        + (f", p {p_value(arm['p_holm'])} (Holm)." if arm["p_holm"] is not None else ".")
    )
    if arm["verdict"] == "no_gain":
        evidence += f" The smallest gain worth having was set at {plain(metrics['minimum_gain'])}."
    if arm["verdict"] == "inconclusive":
        evidence += _would_settle(arm)
    return {
        "claim": f"{subject} {claim}: {signed(arm['difference'])} mAP50-95",
        "evidence": evidence,
    }


def _repetitions(seeds: int) -> str:
    return f"{seeds} paired seeds" if seeds > 1 else "a single seed"


def _would_settle(arm: Metrics) -> str:
    needed = arm["seeds_needed"]
    if needed is None and arm["low"] is not None:
        return (
            " Even a thousand seeds would not settle a difference of this size; more evaluation "
            "images may."
        )
    if needed is None or needed <= arm["seeds"]:
        return ""
    return f" About {needed} seeds would settle a difference of this size."


def notes(metrics: Metrics) -> list[dict[str, str]]:
    """Return what must be read together with the headline, as `topic` and `text`."""
    found = [("Caution", text) for text in metrics["warnings"]]
    if metrics["headline_arm"] is not None:
        found += [_contrast_note(contrast) for contrast in metrics["contrasts"]]
        found += _oracle_notes(metrics)
        found += _layout_notes(metrics["layout_score"])
        found += _cost_notes(metrics)
    found += _conditions(metrics)
    return [{"topic": topic, "text": text} for topic, text in found]


def _contrast_note(contrast: Metrics) -> tuple[str, str]:
    other = contrast["against"]
    topic, what = {
        "copy_paste": ("Copy-paste", "It costs nothing and"),
        "synthetic_random_drop": ("Filter or chance", "Dropping as many images at random"),
    }.get(other, (arm_title(other), "It"))
    numbers = f"the synthetic arm is at {signed(contrast['difference'])} mAP50-95 against it"
    if contrast["low"] is None:
        return topic, f"{what} can't be told apart by this run: {numbers}."
    numbers += f" ({signed(contrast['low'])} to {signed(contrast['high'])})"
    claim = {
        "ahead": "does less",
        "behind": "does more",
        "level": "does as well",
        "undecided": "is not shown to do less or more",
    }[contrast["verdict"]]
    return topic, f"{what} {claim}: {numbers}."


def _oracle_notes(metrics: Metrics) -> list[tuple[str, str]]:
    oracle = metrics["arms"].get("oracle")
    if oracle is None:
        return []
    share = metrics["arms"][metrics["headline_arm"]]["oracle_recovery"]
    gain = f"{signed(oracle['difference'])} mAP50-95"
    if share is None:
        text = f"More real images made {gain}, not shown to be a gain, so no share of it is stated."
    elif share < 0:
        text = f"More real images gained {gain}; the synthetic ones recover none of it."
    else:
        text = f"More real images gained {gain}; the synthetic ones recover {percent(share)} of it."
    return [("Oracle", text)]


def _layout_notes(layout_score: Metrics) -> list[tuple[str, str]]:
    score, chance = layout_score["score"], layout_score["shuffled_score"]
    if score is None:
        return [("Layout", "The judge finds nothing in real images, so images can't be scored.")]
    by_class = ", ".join(
        f"{name} {plain(row['score'], 2)}"
        for name, row in layout_score["per_class"].items()
        if row["score"] is not None
    )
    text = (
        f"Of what a judge finds in real images it finds {percent(score)} in generated ones with "
        f"the same layouts ({by_class})"
    )
    text += "." if chance is None else f"; {percent(chance)} would be chance."
    return [("Layout", text)]


def _cost_notes(metrics: Metrics) -> list[tuple[str, str]]:
    arm = metrics["arms"][metrics["headline_arm"]]
    if arm["cost_s"] is None:
        return []
    text = f"Making the images took {duration(arm['cost_s'])} beyond the detector's training"
    if arm["verdict"] == "helps" and arm["cost_s_per_point"] is not None:
        text += f", {duration(arm['cost_s_per_point'])} a point of mAP50-95"
    return [("Cost", f"{text}.")]


def _conditions(metrics: Metrics) -> list[tuple[str, str]]:
    found = []
    shared = [what for s, what in _STAGE_PHRASES.items() if s in metrics["conditional_on"]]
    repeated = [what for what in _STAGE_PHRASES.values() if what not in shared]
    if shared:
        text = (
            f"One {_listing(shared)}, shared by all seeds. The interval covers each seed's own "
            f"{_listing([*repeated, 'training of the detector'])}, not what others of what is "
            "shared would have given."
        )
        found.append(("Conditional on", text))
    if metrics["evaluation_split"] == "val":
        text = "val, where choices are made; a run with --final scores on test and logs the look."
    else:
        looks = len(metrics["test_looks"])
        text = f"test, which this run opened {looks} time{'s' * (looks != 1)}."
    found.append(("Scored on", text))
    told = [
        f"{name.removeprefix('stage ')}: {value}"
        for name, value in metrics["environment"].items()
        if name.startswith("stage ")
    ]
    if told:
        found.append(("Computed with", "; ".join(told) + "."))
    return found


def _listing(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def method(metrics: Metrics) -> str:
    """Return how the intervals were made, in a sentence."""
    images = (
        "plus the chance of which images were scored (bootstrap, the same images for all arms)"
        if metrics["bootstrap_samples"]
        else "without the chance of which images were scored"
    )
    return (
        "Differences are paired over seeds; intervals are Student's t over the seeds "
        f"{images}, not adjusted for the number of contrasts; p values are, by Holm: over the arms "
        "here, and over the free baselines where they are what a synthetic arm is compared with."
    )
