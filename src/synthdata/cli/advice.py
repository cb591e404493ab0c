"""Commands that say what a finished run found."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from synthdata.cli.app import Json, app


@app.command()
def advise(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its folder")],
    as_json: Json = False,
) -> None:
    """Say which training set a finished run advises, and what each one brought.

    Example: `synthdata advise quickstart`
    """
    from synthdata.report import render_verdict
    from synthdata.report.finished import find_run, read_report

    metrics = read_report(find_run(run, Path.cwd()))
    if as_json:
        typer.echo(json.dumps(metrics["advice"], indent=2))
    else:
        Console().print(render_verdict(metrics))
