"""The `synthdata` command: thin, a command calls one function of the library."""

# Each module adds its commands to the app, in the order in which `--help` lists them.
from synthdata.cli import loop, search, advice, stage, detector, version, runs, data  # noqa: F401, I001
from synthdata.cli.app import app, main

__all__ = ["app", "main"]
