"""The report of a finished run, found again."""

from pathlib import Path
from typing import Any, Final

from synthdata.errors import RunError
from synthdata.files import read_json
from synthdata.runfolder import METRICS, complete_key

RUNS: Final = "runs"


def find_run(named: str, workspace: Path) -> Path:
    """Return the folder of a run, given by its name in `runs/` or by its path.

    Raises:
        RunError: If there is none.
    """
    for folder in (workspace / RUNS / named, workspace / named):
        if any(folder.glob("seed-*")):
            return folder.resolve()
    known = sorted(path.name for path in (workspace / RUNS).glob("*/"))
    raise RunError(
        f"{named!r} is neither a run in {workspace / RUNS} nor the folder of one; there is "
        f"{', '.join(known) or 'no run'}"
    )


def read_report(run_dir: Path) -> dict[str, Any]:
    """Return the metrics of a run's report, see `synthdata.report.evaluate`.

    Raises:
        RunError: If the run isn't finished, or its report is of an earlier version.
    """
    report_dir = run_dir / "report"
    if complete_key(report_dir) is None:
        raise RunError(
            f"run {run_dir.name} isn't finished: it has no report in {report_dir}; run it to its "
            "end first, `synthdata run CONFIG`"
        )
    metrics: dict[str, Any] = read_json(report_dir / METRICS)
    if "advice" not in metrics:
        raise RunError(
            f"the report in {report_dir} is of a version of synthdata that gave no advice; run "
            "`synthdata report CONFIG` with the run's config, which trains nothing anew"
        )
    return metrics
