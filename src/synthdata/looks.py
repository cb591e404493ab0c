"""Opening what choices must not see, test and shifted sets: only when asked, each look on record.

A set that is looked at often becomes a second val split. Looks are therefore counted by what was
looked at, the evaluation images, and over all runs of a workspace: a run of another name starts
no new count. `runs/looks.jsonl` has one row for each repetition (seed) of a look. The logs
`runs/<name>/test_looks.jsonl` of earlier versions know no digest, and aren't read.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel

from synthdata.config import ExperimentConfig
from synthdata.json_lines import append_row, read_rows

LOOKS = "looks.jsonl"
RUN_LOOKS = "test_looks.jsonl"


@dataclass(frozen=True)
class Look:
    """One computation that saw an evaluation set.

    Attributes:
        time: When it first did, in UTC.
        run: The run's name.
        evaluation_set: `test`, or the name of a shifted set.
        digest: Of the evaluation images.
        seeds: The repetitions that saw it, ascending.
        opening: Identifies the computation: a digest of the train section and the arms, without
            the seed.
    """

    time: datetime
    run: str
    evaluation_set: str
    digest: str
    seeds: tuple[int, ...]
    opening: str

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON, the time in ISO 8601."""
        return asdict(self) | {"time": self.time.isoformat(), "seeds": list(self.seeds)}


class _Row(BaseModel):
    time: AwareDatetime
    run: str
    evaluation_set: str
    digest: str
    seed: int
    opening: str


def log_look(
    workspace: Path, *, digest: str, evaluation_set: str, run: str, seed: int, opening: str
) -> None:
    """Put on record that a repetition looks at an evaluation set; call it before the look.

    Args:
        workspace: The folder that holds `runs/`.
        digest: Of the evaluation images.
        evaluation_set: `test`, or the name of a shifted set.
        run: The run's name.
        seed: The repetition.
        opening: Identifies the computation: a digest of the train section and the arms, without
            the seed, so that the repetitions of one command are one look.
    """
    row = _Row(
        time=datetime.now(UTC).replace(microsecond=0),
        run=run,
        evaluation_set=evaluation_set,
        digest=digest,
        seed=seed,
        opening=opening,
    )
    append_row(workspace / "runs" / LOOKS, row)


def read_looks(workspace: Path, *, digest: str) -> list[Look]:
    """Return the looks of all runs at some evaluation images, oldest first.

    Rows of one run, evaluation set and opening are one look: the same computation, done again,
    tells nothing new.

    Args:
        workspace: The folder that holds `runs/`.
        digest: Of the evaluation images.

    Raises:
        RunError: If a line of the log can't be read. A torn last line, which a power cut leaves,
            is left out with a warning.
    """
    merged: dict[tuple[str, str, str], list[_Row]] = {}
    for row in read_rows(workspace / "runs" / LOOKS, _Row):
        if row.digest == digest:
            merged.setdefault((row.run, row.evaluation_set, row.opening), []).append(row)
    looks = [_merge(rows) for rows in merged.values()]
    return sorted(looks, key=lambda look: look.time)


def _merge(rows: Sequence[_Row]) -> Look:
    return Look(
        time=min(row.time for row in rows),
        run=rows[0].run,
        evaluation_set=rows[0].evaluation_set,
        digest=rows[0].digest,
        seeds=tuple(sorted({row.seed for row in rows})),
        opening=rows[0].opening,
    )


def evaluate_on_test(config: ExperimentConfig) -> ExperimentConfig:
    """Return the config with the evaluation on test."""
    train = config.train.model_copy(update={"evaluation_split": "test"})
    return config.model_copy(update={"train": train})


def open_test_split(config: ExperimentConfig, workspace: Path) -> ExperimentConfig:
    """Return the config with the evaluation on test, and log this look in the run's own log.

    It goes once stage train calls `log_look`; `evaluate_on_test` stays.

    Args:
        config: The experiment.
        workspace: The folder that holds `runs/`.
    """
    run_dir = workspace / "runs" / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    look = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "seeds": list(config.seeds)}
    with (run_dir / RUN_LOOKS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(look) + "\n")
    return evaluate_on_test(config)


def read_run_looks(run_dir: Path) -> list[dict[str, Any]]:
    """Return the looks in a run's own log, oldest first; it goes with `open_test_split`."""
    path = run_dir / RUN_LOOKS
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
