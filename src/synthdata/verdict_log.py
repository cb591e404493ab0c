"""On which seeds a run's verdicts stood: adding seeds until one pleases makes it too easy.

Each verdict is tested at the level over the number of extensions and one, see
`synthdata.verdict.compare_arms`. `runs/<name>/verdicts.jsonl` has one row for each set of seeds
that a verdict was given on.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel

from synthdata.json_lines import append_row, read_rows

VERDICTS = "verdicts.jsonl"


class _Row(BaseModel):
    time: AwareDatetime
    digest: str
    experiment: str
    seeds: tuple[int, ...]


def log_verdict(run_dir: Path, *, digest: str, experiment: str, seeds: Collection[int]) -> None:
    """Put a verdict on record; the same one once more adds nothing.

    Args:
        run_dir: `runs/<name>`.
        digest: Of the evaluation images.
        experiment: Digest of the config without its seeds.
        seeds: The repetitions that it stands on, in any order.

    Raises:
        RunError: If a line of the log can't be read, unless it is the last and torn.
    """
    if frozenset(seeds) in _seed_sets(run_dir, digest=digest, experiment=experiment):
        return
    row = _Row(
        time=datetime.now(UTC).replace(microsecond=0),
        digest=digest,
        experiment=experiment,
        seeds=tuple(sorted(set(seeds))),
    )
    append_row(run_dir / VERDICTS, row)


def count_extensions(run_dir: Path, *, digest: str, experiment: str, seeds: Collection[int]) -> int:
    """Return how often seeds were added to an earlier verdict to arrive at these.

    Counted are the distinct sets of seeds that are strict subsets of `seeds` and had a verdict,
    of the same experiment on the same images, before `seeds` first had one. The answer is
    therefore the same before and after `log_verdict`, and when a report is written again.

    Args:
        run_dir: `runs/<name>`.
        digest: Of the evaluation images.
        experiment: Digest of the config without its seeds.
        seeds: The repetitions of the verdict in question, in any order.

    Raises:
        RunError: If a line of the log can't be read, unless it is the last and torn.
    """
    wanted = frozenset(seeds)
    logged = _seed_sets(run_dir, digest=digest, experiment=experiment)
    earlier = logged[: logged.index(wanted)] if wanted in logged else logged
    return len({one for one in earlier if one < wanted})


def _seed_sets(run_dir: Path, *, digest: str, experiment: str) -> list[frozenset[int]]:
    """Return the logged sets of seeds of one experiment on the same images, oldest first."""
    return [
        frozenset(row.seeds)
        for row in read_rows(run_dir / VERDICTS, _Row)
        if row.digest == digest and row.experiment == experiment
    ]
