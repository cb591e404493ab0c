"""The folder of stage `version`, as the stages after it find it.

```
arms/<arm>/   a data set (see `manifest`) in YOLO form too, train.txt and phases.json
eval/<set>/   likewise val, test and each shifted set, without lists
```
"""

from pathlib import Path
from typing import Final, Literal

ARMS: Final = "arms"
EVAL: Final = "eval"
PHASES: Final = "phases.json"
SPLITS: Final[tuple[Literal["val", "test"], ...]] = ("val", "test")


def list_name(phase: int) -> str:
    """Return the file of a phase's training list, from phase 0: `train.txt`, `train-2.txt`."""
    return "train.txt" if phase == 0 else f"train-{phase + 1}.txt"


def shifted_sets(version_dir: Path) -> list[str]:
    """Return the names of the shifted evaluation sets."""
    found = (path.name for path in (version_dir / EVAL).glob("*/"))
    return sorted(name for name in found if name not in SPLITS)
