"""Stage `report`: `report.html`, `verdict.md` and the metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthdata.config.report import ReportConfig
from synthdata.files import write_text
from synthdata.report.evaluate import evaluate_run
from synthdata.report.markdown import render_markdown
from synthdata.report.page import render_page
from synthdata.report.run import read_run

PAGE = "report.html"
TEXT = "verdict.md"


def write_report(
    section: ReportConfig, *, inputs: Mapping[str, Path], out_dir: Path
) -> dict[str, Any]:
    """Compare the arms of a finished run and write the verdict.

    Args:
        section: The arms, and the contrasts that were named before the run.
        inputs: Folders of the finished stages, by `seed-<s>/<stage>`.
        out_dir: Gets `report.html` (self-contained) and `verdict.md`; `runs/<name>/report`.

    Returns:
        Values for `metrics.json`.

    Raises:
        RunError: If a stage or an arm is missing, or repetitions were scored on different sets.
    """
    run = read_run(inputs)
    run_dir = out_dir.absolute().parent
    metrics = evaluate_run(section, run, run_dir=run_dir)
    page = render_page(run, metrics, section=section, name=run_dir.name)
    write_text(out_dir / PAGE, page)
    write_text(out_dir / TEXT, render_markdown(metrics))
    return metrics
