"""The verdict as HTML, as Markdown and on the terminal.

Reads what the stages measured; `evaluate` is the one module that calls the statistics.
"""

from synthdata.report.terminal import (
    contrast_rows,
    print_verdict,
    render_layout_score,
    render_verdict,
    verdict_rows,
)
from synthdata.report.write import write_report

__all__ = [
    "contrast_rows",
    "print_verdict",
    "render_layout_score",
    "render_verdict",
    "verdict_rows",
    "write_report",
]
