"""The verdict in plain words, from the metrics alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from synthdata.report.numerals import NOTHING, duration, p_value, percent, plain, signed

Metrics = Mapping[str, Any]

VERDICT_TITLES: Mapping[str, str] = {
    "reference": "reference",
    "helps": "helps",
    "hurts": "hurts",
    "no_gain": "no gain",
    "inconclusive": "inconclusive",
}
ROLE_TITLES: Mapping[str, str] = {
    "reference": "reference",
    "free": "free",
    "candidate": "candidate",
    "ceiling": "ceiling, not tested",
}
# What an arm does in comparison with the reference, and with another arm.
_AGAINST_REFERENCE = {
    "helps": "helps here",
    "hurts": "hurts here",
    "no_gain": "brings no gain worth having here",
    "inconclusive": "is not shown to help here",
}
_AGAINST_OTHER = {
    "helps": "does better here than {other}",
    "hurts": "does worse here than {other}",
    "no_gain": "brings no gain worth having here over {other}",
    "inconclusive": "is not shown to do better here than {other}",
}
_INFINITIVE = {"helps": "help", "hurts": "hurt", "does": "do"}
# What repetitions share, and what else they repeat.
_STAGE_PHRASES: Mapping[str, str] = {
    "prepare": "draw of real images",
    "fit": "trained generator",
    "layout": "set of layouts",
    "generate": "set of generated images",
    "filter": "choice by the filters and by chance",
}


def interval(row: Metrics, confidence: float) -> str:
    """Return "95 % interval +0.012 to +0.070", or that there is none."""
    if row["low"] is None:
        return (
            "no interval from one repetition"
            if row["seeds"] < 2
            else ("no interval, since all seeds gave the same difference")
        )
    return f"{percent(confidence)} interval {signed(row['low'])} to {signed(row['high'])}"


def contrast_cells(row: Metrics) -> list[str]:
    """Return a contrast's difference, interval, p and Holm's p as cells of a table."""
    ends = NOTHING if row["low"] is None else f"{signed(row['low'])} to {signed(row['high'])}"
    return [signed(row["difference"]), ends, p_value(row["p"]), p_value(row["p_holm"])]


def contrast_title(metrics: Metrics, row: Metrics) -> str:
    """Return "Mix against Copy-paste"."""
    return f"{_title(metrics, row['arm'])} against {_title(metrics, row['against'])}"


def headline(metrics: Metrics) -> dict[str, str]:
    """Return the verdict on the first contrast: the `claim` and its `evidence`."""
    if not metrics["contrasts"]:
        return {
            "claim": "This run names no contrast, so it gives no verdict",
            "evidence": "State `contrasts: [[arm, against]]` before a run that is to give one.",
        }
    row = metrics["contrasts"][0]
    scores = [metrics["arms"][row[side]]["map50_95"] for side in ("arm", "against")]
    evidence = (
        f"{plain(scores[0])} against {plain(scores[1])} for {_title(metrics, row['against'])}; "
        f"{interval(row, metrics['confidence'])}, {_repetitions(row['seeds'])}"
        + (f", p {p_value(row['p_holm'])} (Holm)." if row["p_holm"] is not None else ".")
    )
    if row["verdict"] == "no_gain":
        evidence += f" The smallest gain worth having was set at {plain(metrics['minimum_gain'])}."
    if row["verdict"] == "inconclusive":
        evidence += _would_settle(metrics, row)
    return {
        "claim": f"{claim(metrics, row)}: {signed(row['difference'])} mAP50-95",
        "evidence": evidence,
    }


def claim(metrics: Metrics, row: Metrics) -> str:
    """Return what a contrast's verdict says, in words: "Mix helps here"."""
    other = _title(metrics, row["against"])
    phrases = _AGAINST_REFERENCE if row["against"] == metrics["reference"] else _AGAINST_OTHER
    said = phrases[row["verdict"]].format(other=other)
    if metrics["provisional"] and row["verdict"] in ("helps", "hurts"):
        verb, rest = said.split(" ", 1)
        said = f"seems to {_INFINITIVE[verb]} {rest}"
    if row["verdict"] == "no_gain" and row["high"] < 0:
        said += ", and may do harm"
    return f"{_title(metrics, row['arm'])} {said}"


def _title(metrics: Metrics, arm: str) -> str:
    return str(metrics["arms"][arm]["title"])


def _repetitions(seeds: int) -> str:
    return f"{seeds} paired seeds" if seeds > 1 else "a single seed"


def _would_settle(metrics: Metrics, row: Metrics) -> str:
    needed, gain = row["seeds_needed"], plain(metrics["minimum_gain"])
    if needed is None and row["low"] is not None:
        return (
            f" Even a thousand seeds would not settle a gain of {gain}; more images to score may."
        )
    if needed is None or needed <= row["seeds"]:
        return ""
    return f" About {needed} seeds would settle a gain of {gain}."


def notes(metrics: Metrics) -> list[dict[str, str]]:
    """Return what must be read together with the headline, as `topic` and `text`."""
    found = [("Caution", text) for text in metrics["warnings"]]
    found += _choice_notes(metrics)
    found += [_contrast_note(metrics, row) for row in metrics["contrasts"][1:]]
    found += [
        (f"On {name}", f"{claim(metrics, row)}: {_numbers(row)}.")
        for name, scored in metrics["shifted"].items()
        for row in scored["contrasts"]
    ]
    found += _ceiling_notes(metrics)
    if metrics["layout_score"] is not None:
        found += _layout_notes(metrics["layout_score"])
    found += _cost_notes(metrics)
    found += _conditions(metrics)
    return [{"topic": topic, "text": text} for topic, text in found]


def _choice_notes(metrics: Metrics) -> list[tuple[str, str]]:
    """Say by what the advised arm was chosen, and what such a choice brings."""
    chosen = metrics["advice"]
    if chosen["chosen_by"] == "search":
        text = "The advised arm was chosen by a search on val, with seeds that aren't this run's."
        if metrics["evaluation_split"] == "val":
            text += " Only other images can say what it brings: --final scores on test."
        return [("Choice", text)]
    crossed = chosen["cross_fit"]
    if crossed is None:
        text = "There are too few seeds or images to say what such a choice brings."
        return [("Choice", text)]
    gain, regret = crossed["gain"], crossed["regret"]
    return [
        (
            "Choice",
            "Chosen by half of the seeds and images and judged by the other half, in all four "
            f"ways, an arm brings {_estimate(gain)} over {_title(metrics, metrics['reference'])}, "
            f"and the best of the judging half is {_estimate(regret)} ahead of it.",
        )
    ]


def _estimate(estimate: Metrics) -> str:
    text = f"{signed(estimate['value'])} mAP50-95"
    if estimate["low"] is None:
        return text
    return f"{text} ({signed(estimate['low'])} to {signed(estimate['high'])})"


def _contrast_note(metrics: Metrics, row: Metrics) -> tuple[str, str]:
    is_twin = metrics["arms"][row["arm"]]["twin"] == row["against"]
    return "Twin" if is_twin else "Contrast", f"{claim(metrics, row)}: {_numbers(row)}."


def _numbers(row: Metrics) -> str:
    if row["low"] is None:
        return f"{signed(row['difference'])} mAP50-95, without an interval"
    return (
        f"{signed(row['difference'])} mAP50-95 ({signed(row['low'])} to {signed(row['high'])}, "
        f"p {p_value(row['p_holm'])} by Holm)"
    )


def _ceiling_notes(metrics: Metrics) -> list[tuple[str, str]]:
    found = []
    for name, row in metrics["arms"].items():
        if row["role"] != "ceiling":
            continue
        text = (
            f"{row['title']}: images that the other arms must do without made "
            f"{signed(row['difference'])} mAP50-95. This is shown for scale and not tested"
        )
        shares = metrics["recovery"].get(name)
        told = metrics["contrasts"][0]["arm"] if metrics["contrasts"] else ""
        if shares is not None and told in shares:
            share = shares[told]
            recovered = f"{percent(share)} of it" if share > 0 else "none of it"
            text += f"; {_title(metrics, told)} has {recovered}"
        found.append(("Ceiling", f"{text}."))
    return found


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
    if not metrics["contrasts"]:
        return []
    row = metrics["contrasts"][0]
    seconds = metrics["arms"][row["arm"]]["cost_s"]
    if seconds is None:
        return []
    text = f"Making the images took {duration(seconds)} beyond the detector's training"
    if row["cost_s_per_point"] is not None:
        text += f", {duration(row['cost_s_per_point'])} per point of mAP50-95"
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
    found += _scored_on(metrics)
    if metrics["extensions"]:
        found.append(("Seeds added", _extensions(metrics)))
    told = [
        f"{name.removeprefix('stage ')}: {value}"
        for name, value in metrics["environment"].items()
        if name.startswith("stage ")
    ]
    if told:
        found.append(("Computed with", "; ".join(told) + "."))
    return found


def _scored_on(metrics: Metrics) -> Iterator[tuple[str, str]]:
    for name, looks in metrics["looks"].items():
        if name == "val":
            text = "val, where choices are made; --final scores on test and logs the look."
        else:
            text = (
                f"{name}, whose images were looked at {len(looks)} "
                f"time{'s' * (len(looks) != 1)} by runs in this workspace."
            )
        yield "Scored on", text


def _extensions(metrics: Metrics) -> str:
    times = metrics["extensions"]
    return (
        f"Seeds were added after {times} earlier verdict{'s' * (times != 1)} on these images, so "
        f"that each test here is at the level divided by {times + 1}."
    )


def _listing(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def method(metrics: Metrics) -> str:
    """Return how the intervals were made, in a few sentences."""
    images = (
        "and the chance of which images were scored (bootstrap, the same images for all arms)"
        if metrics["bootstrap_samples"]
        else "without the chance of which images were scored"
    )
    return (
        f"Differences are paired over seeds; intervals cover the seeds (Student's t) {images}. "
        "Intervals and p are not adjusted; Holm's p beside them, over the contrasts that the "
        "config names, decides. Other arms are shown and not tested."
    )
