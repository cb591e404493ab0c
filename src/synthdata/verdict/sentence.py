"""The advice in words."""

from collections.abc import Mapping, Sequence

from synthdata.verdict.contrasts import ContrastResult

_VERDICTS = {
    "helps": "",
    "hurts": "; on what did not choose it, it does harm",
    "no_gain": "; that is no gain worth having",
    "inconclusive": "; it is not shown to help",
}


def advice_sentence(  # noqa: PLR0913  # all by name but the arms
    arm: str,
    free: str,
    reference: str,
    *,
    kind: str,
    gain: float,
    judged: Sequence[ContrastResult],
    confidence: float,
    titles: Mapping[str, str],
    has_candidates: bool,
    flattered_by: str,
) -> str:
    """Return which arm to take, what it brings over the reference, and what over a free one.

    Args:
        arm: The advised arm.
        free: The best free arm.
        reference: The arm without additions.
        kind: The advised arm's.
        gain: Its mean difference to the reference.
        judged: It against the reference and the best free arm; empty where nothing fresh judges.
        confidence: Of the intervals.
        titles: Arm to its name for people, where it has another.
        has_candidates: Whether there was an arm with more than what is free.
        flattered_by: What chose the arm, of what the difference was measured on.
    """
    name, free_name, base = (titles.get(one, one) for one in (arm, free, reference))
    if kind == "reference":
        return f"Nothing beats {name} here: no recipe is ahead of it by more than a standard error."
    head = f"Take {name}" if kind == "candidate" else f"{name} is enough here, and free"
    if kind == "free" and not has_candidates:
        head = f"Take {name}, which is free"
    if not judged:
        return (
            f"{head}: {_signed(gain)} mAP50-95 over {base}, on the {flattered_by} that chose "
            "it, so that it has no interval and is likely to be less."
        )
    over_base, *over_free = judged
    text = f"{head}: {_gain(over_base, confidence)} over {base}{_VERDICTS[over_base.verdict]}"
    if over_free:
        text += f"; {_gain(over_free[0], confidence)} over {free_name}, the best that is free"
        if over_free[0].verdict != "helps":
            text += ", which is not shown to be less"
    return f"{text}."


def _gain(row: ContrastResult, confidence: float) -> str:
    if row.low != row.low:  # NaN
        return f"{_signed(row.difference)} mAP50-95, without an interval,"
    return (
        f"{_signed(row.difference)} mAP50-95 ({100 * confidence:g}\N{NO-BREAK SPACE}% interval "
        f"{_signed(row.low)} to {_signed(row.high)})"
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
