"""Commands about real data sets."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthdata.cli.app import Json, app

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(data_app, name="data", help="Real data: list, fetch and check data sets.")


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """List the data sets that `fetch` knows.

    Example: `synthdata data list`
    """
    from synthdata.datasets.fetch import DATASETS

    if as_json:
        typer.echo(json.dumps(DATASETS, indent=2))
        return
    for name, description in DATASETS.items():
        typer.echo(f"{name:8} {description}")


@data_app.command("fetch")
def data_fetch(name: str) -> None:
    """Fetch a data set into `data/raw/`, from `SYNTHDATA_MIRROR` where that is set.

    Example: `synthdata data fetch bccd`
    """
    from synthdata.datasets.fetch import fetch
    from synthdata.stages import RAW_DIR

    typer.echo(str(fetch(name, RAW_DIR)))


@data_app.command("check")
def data_check(
    path: Path,
    data_format: Annotated[Literal["yolo", "coco", "voc"], typer.Option("--format")],
    as_json: Json = False,
) -> None:
    """List every problem of a data set; exit with 1 if one is an error.

    Example: `synthdata data check my-data --format yolo`
    """
    from dataclasses import asdict

    from synthdata.datasets.check import check_dataset

    problems = check_dataset(path, data_format)
    errors = sum(problem.level == "error" for problem in problems)
    if as_json:
        typer.echo(json.dumps([asdict(problem) for problem in problems], indent=2, default=str))
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(f"{errors} errors, {len(problems) - errors} warnings in {path}")
    if errors:
        raise typer.Exit(1)
