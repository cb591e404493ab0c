"""Commands about dataset versions."""

import json

import typer
from rich.console import Console

from synthdata.cli.app import Json, app


@app.command()
def compare(version_a: str, version_b: str, as_json: Json = False) -> None:
    """Compare two dataset versions: images, boxes and classes added, removed, changed.

    A version is a folder, or `REV:PATH` for a DVC-tracked folder at a Git revision.

    Example: `synthdata compare v1:data/versions/quickstart/seed-0/arms/real my-folder`
    """
    from synthdata.versioning.compare import compare_versions, render

    comparison = compare_versions(version_a, version_b)
    if as_json:
        typer.echo(json.dumps(comparison.to_json(), indent=2))
    else:
        Console().print(render(comparison))
