"""Numbers as the report writes them: a true minus sign, a dash where there is none."""

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
NBSP = "\N{NO-BREAK SPACE}"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign, a true minus among them; "+0.041", and "0.000" without."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def plain(value: float, digits: int = 3) -> str:
    """Return a number with a true minus where it is negative."""
    return signed(value, digits).removeprefix("+")


def percent(share: float) -> str:
    """Return a share as "95 %"."""
    return f"{plain(100 * share, 0)}{NBSP}%"


def p_value(p: float | None) -> str:
    """Return a p value as precise as it means something; an en dash where there is none."""
    if p is None:
        return NOTHING
    return f"<{NBSP}0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def score(value: float | None) -> str:
    """Return a score in [0, 1] with three digits; an en dash where there is none."""
    return NOTHING if value is None else plain(value)


def measured(value: float | None) -> str:
    """Return a count as it is and any other number with three digits."""
    return str(value) if isinstance(value, int) else score(value)


def duration(seconds: float) -> str:
    """Return a time for people; "4 min 10 s"."""
    if seconds < 0.1:
        return "< 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
