"""The command line's root: what every command shares."""

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from synthdata import __version__
from synthdata.errors import SynthdataError


class _Commands(TyperGroup):
    """The commands; an interrupt is answered here, since Typer ends on it without a word."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # as click has it
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on where it was", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="synthdata",
    cls=_Commands,
    help="Will synthetic images make my detector better, and by how much?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
ConfigArgument = Annotated[str, typer.Argument(help="a config file, or a bundled one's name")]
Overrides = Annotated[list[str] | None, typer.Argument(help="changes, such as `train.epochs=5`")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
Only = Annotated[
    bool, typer.Option("--only", help="make nothing before it; refuse what the config doesn't make")
]
Final = Annotated[
    bool, typer.Option("--final", help="evaluate on test, not val, and on shifted sets; logged")
]
Shifted = Annotated[
    bool, typer.Option("--shifted", help="evaluate on val and on the shifted sets; logged")
]


def main() -> None:
    """Run the command line; exit with 0 = done, 1 = bad input or failed, 2 = usage, 130."""
    try:
        app()
    except SynthdataError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _set_up(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="only warnings")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="and exit")
    ] = False,
) -> None:
    """Will synthetic images make my detector better, and by how much?"""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("synthdata").setLevel(logging.WARNING if quiet else logging.INFO)
