"""Will synthetic images make my detector better, and by how much?"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthdata.verdict import advise, compare_arms

__version__ = version("synthdata")
__all__ = ["__version__", "advise", "compare_arms"]

# The public names and where each lives: loaded on first use, so that the import costs nothing.
_HOMES = {"advise": "synthdata.verdict", "compare_arms": "synthdata.verdict"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
