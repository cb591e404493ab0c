"""Opening the test split: only when asked, and each look is on record.

Choices are made on val. A look at test is logged in the run folder and shown in the report,
since a test split that is looked at often becomes a second val split.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synthdata.config import ExperimentConfig

LOOKS = "test_looks.jsonl"


def open_test_split(config: ExperimentConfig, workspace: Path) -> ExperimentConfig:
    """Return the config with the evaluation on test, and log this look.

    Args:
        config: The experiment.
        workspace: The folder that holds `runs/`.
    """
    run_dir = workspace / "runs" / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    look = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "seeds": list(config.seeds)}
    with (run_dir / LOOKS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(look) + "\n")
    train = config.train.model_copy(update={"evaluation_split": "test"})
    return config.model_copy(update={"train": train})


def read_looks(run_dir: Path) -> list[dict[str, Any]]:
    """Return the looks at the test split so far, oldest first."""
    path = run_dir / LOOKS
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
