"""The command that searches for recipes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from synthdata.cli.app import ConfigArgument, Json, Overrides, app
from synthdata.cli.loop import load
from synthdata.errors import OutOfTimeError
from synthdata.extras import needing_extra


@app.command()
def search(
    config: ConfigArgument,
    overrides: Overrides = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="start nothing after so many hours")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try recipes on val, as many free as synthetic ones; write the best as a config, best.yaml.

    Test stays closed. What was ended goes on with the same command.

    Example: `synthdata search bccd-24-search.yaml --max-hours 8`
    """
    experiment = load(config, overrides)
    with needing_extra("search", "synthdata search"):
        from synthdata.search.run import search_recipes

    try:
        found = search_recipes(
            experiment,
            source=config,
            overrides=overrides or [],
            workspace=Path.cwd(),
            max_hours=max_hours,
        )
    except OutOfTimeError as error:
        typer.echo(f"time is up: {error}; the same command goes on where it was", err=True)
        found = None
    best = None if found is None else found.relative_to(Path.cwd()).as_posix()
    if as_json:
        typer.echo(json.dumps({"best": best}, indent=2))
    elif best is not None:
        typer.echo(f"best: {best}")
