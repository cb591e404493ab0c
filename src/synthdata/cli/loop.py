"""Commands that run the whole loop to a verdict."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from synthdata.cli.app import ConfigArgument, Final, Json, Overrides, Shifted, app
from synthdata.config import ExperimentConfig, load_config
from synthdata.looks import open_held_out
from synthdata.plan import Step, plan, plan_filter_ablation


@app.command()
def quickstart(overrides: Overrides = None, as_json: Json = False) -> None:
    """Run the whole loop on the embedded digits, on a CPU, with no download.

    Example: `synthdata quickstart`
    """
    run("quickstart.yaml", overrides, as_json=as_json)


@app.command()
def run(
    config: ConfigArgument,
    overrides: Overrides = None,
    final: Final = False,
    shifted: Shifted = False,
    as_json: Json = False,
) -> None:
    """Run the whole loop of a config; end with a verdict and report.html.

    Example: `synthdata run bccd-24.yaml train.epochs=40`
    """
    experiment = load(config, overrides, final=final, shifted=shifted)
    run_to_verdict(experiment, plan(experiment, Path.cwd()), as_json=as_json)


@app.command("ablate-filters")
def ablate_filters(
    config: ConfigArgument, overrides: Overrides = None, as_json: Json = False
) -> None:
    """Say what each filter is worth: train on what it keeps alone, against a random drop.

    The run's stages up to `score` are taken where they are done.

    Example: `synthdata ablate-filters bccd-24.yaml seeds=[100,101,102]`
    """
    experiment = load(config, overrides)
    run_to_verdict(experiment, plan_filter_ablation(experiment, Path.cwd()), as_json=as_json)


def load(
    config: str, overrides: list[str] | None, *, final: bool = False, shifted: bool = False
) -> ExperimentConfig:
    """Return a config with its overrides, opened to the sets that are asked for."""
    experiment = load_config(config, overrides or [])
    return open_held_out(experiment, test=final) if final or shifted else experiment


def run_to_verdict(
    experiment: ExperimentConfig,
    steps: Sequence[Step],
    upstream: Sequence[Step] = (),
    *,
    as_json: bool,
) -> None:
    """Run steps that end with the report, and print its verdict."""
    from synthdata.loop import run_steps

    metrics = run_steps(experiment, steps, upstream=upstream)[-1]
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
        return
    from synthdata.report import render_verdict

    Console().print(render_verdict(metrics))
    page = steps[-1].out_dir / "report.html"
    typer.echo(f"report: {page.relative_to(Path.cwd())}")
