"""Opening what choices must not see, test and shifted sets: only when asked, each look on record.

A set that is looked at often becomes a second val split. Looks are therefore counted by what was
looked at, the evaluation images, and over all runs of a workspace: a run of another name starts
no new count. `runs/looks.jsonl` has one row for each repetition (seed) of a look. The logs
`runs/<name>/test_looks.jsonl` of earlier versions know no digest, and aren't read.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel

from synthdata.config import ExperimentConfig
from synthdata.json_lines import append_row, read_rows

LOOKS = "looks.jsonl"


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


def open_held_out(config: ExperimentConfig, *, test: bool) -> ExperimentConfig:
    """Return the config with the evaluation on the shifted sets too, and on test instead of val.

    Args:
        config: The experiment.
        test: Whether test takes the place of val.
    """
    split = {"evaluation_split": "test"} if test else {}
    train = config.train.model_copy(update={"shifted": True, **split})
    return config.model_copy(update={"train": train})
