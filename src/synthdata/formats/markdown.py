"""Text in Markdown that is shown as it is."""

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#&"})


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return " ".join(text.translate(_SPECIAL).split())
