"""Commands about run folders."""

import json
from pathlib import Path
from typing import Annotated

import typer

from synthdata.cli.app import Json, app
from synthdata.runfolder import find_runs, list_stale, remove_stale


@app.command()
def clean(
    run_name: Annotated[str | None, typer.Argument(metavar="[RUN]", help="else all runs")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove what is listed")] = False,
    as_json: Json = False,
) -> None:
    """List what earlier configs made and runs have set aside; remove it with --yes.

    Example: `synthdata clean quickstart --yes`
    """
    run_dirs = find_runs(Path.cwd(), run_name)
    stale = [folder for run_dir in run_dirs for folder in list_stale(run_dir)]
    if yes:
        for run_dir in run_dirs:
            remove_stale(run_dir)
    if as_json:
        typer.echo(json.dumps([folder.to_json() for folder in stale], indent=2))
        return
    for folder in stale:
        typer.echo(str(folder))
    size = sum(folder.num_bytes for folder in stale) / 1e6
    todo = "removed" if yes else "set aside; remove with --yes"
    typer.echo(f"{len(stale)} folders, {size:.1f} MB {todo}")
