"""The whole loop as a flow: `python -m flows.capstone --config configs/quickstart.yaml`."""

import os
from pathlib import Path
from typing import Annotated, Any

# Read when Prefect is imported. The embedded server takes longer than Prefect's default 20 s
# on a slow machine's first start; nothing is reported to anyone; the library's log is shown.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "synthdata")

import typer
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.steps import run_steps
from synthdata.config import load_config
from synthdata.looks import open_held_out
from synthdata.report import contrast_rows, print_verdict, verdict_rows
from synthdata.report.write import PAGE


@flow(name="synthdata-capstone")
def capstone(
    config: str = "configs/quickstart.yaml",
    overrides: list[str] | None = None,
    final: bool = False,
) -> dict[str, Any]:
    """Run generate → filter → version → train → measure; publish the verdict as artifacts.

    Args:
        config: A config file, or the name of a bundled one.
        overrides: Such as `train.epochs=5`.
        final: Evaluate on test and on the shifted sets, and log that look.
    """
    experiment = load_config(config, overrides or [])
    if final:
        experiment = open_held_out(experiment, test=True)
    metrics = run_steps(experiment)
    report = Path.cwd() / "runs" / experiment.name / "report"
    create_table_artifact(verdict_rows(metrics), key=f"arms-{experiment.name}")
    create_table_artifact(contrast_rows(metrics), key=f"verdict-{experiment.name}")
    create_markdown_artifact(
        f"{(report / 'verdict.md').read_text(encoding='utf-8')}\n\nFull report: `{report}`",
        key=f"report-{experiment.name}",
    )
    return metrics


def main(
    config: Annotated[str, typer.Option(help="a config file, or a bundled one's name")],
    overrides: Annotated[list[str] | None, typer.Argument(help="such as train.epochs=5")] = None,
    final: Annotated[bool, typer.Option(help="evaluate on the test split")] = False,
) -> None:
    """Run the whole loop as a Prefect flow, on its embedded server when no API is set."""
    print_verdict(capstone(config, overrides, final))
    name = load_config(config, overrides or []).name
    typer.echo(f"report: {Path('runs') / name / 'report' / PAGE}")


if __name__ == "__main__":
    typer.run(main)
