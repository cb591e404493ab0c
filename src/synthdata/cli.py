"""The `synthdata` command: thin, a command calls one function of the library."""

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperGroup

from synthdata import __version__
from synthdata.config import STAGES, ExperimentConfig, StageName, load_config
from synthdata.errors import SynthdataError
from synthdata.looks import open_held_out
from synthdata.plan import Step, plan, plan_filter_ablation
from synthdata.runfolder import find_runs, list_stale, remove_stale
from synthdata.upstream import refuse_differences, upstream_of


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
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(data_app, name="data", help="Real data: list, fetch and check data sets.")

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
    experiment = _load(config, overrides, final=final, shifted=shifted)
    _run_to_verdict(experiment, plan(experiment, Path.cwd()), as_json=as_json)


@app.command("ablate-filters")
def ablate_filters(
    config: ConfigArgument, overrides: Overrides = None, as_json: Json = False
) -> None:
    """Say what each filter is worth: train on what it keeps alone, against a random drop.

    The run's stages up to `score` are taken where they are done.

    Example: `synthdata ablate-filters bccd-24.yaml seeds=[100,101,102]`
    """
    experiment = _load(config, overrides)
    _run_to_verdict(experiment, plan_filter_ablation(experiment, Path.cwd()), as_json=as_json)


def _load(
    config: str, overrides: list[str] | None, *, final: bool = False, shifted: bool = False
) -> ExperimentConfig:
    experiment = load_config(config, overrides or [])
    return open_held_out(experiment, test=final) if final or shifted else experiment


def _run_to_verdict(
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


def _stage_command(stage: StageName) -> Callable[..., None]:
    def command(  # noqa: PLR0913  # a command's options
        config: ConfigArgument,
        overrides: Overrides = None,
        seed: Annotated[int | None, typer.Option(help="only this repetition")] = None,
        only: Only = False,
        final: Final = False,
        shifted: Shifted = False,
        as_json: Json = False,
    ) -> None:
        if (final or shifted) and stage not in ("train", "report"):
            raise typer.BadParameter(
                f"--final and --shifted are for train and report; {stage} scores no detector there"
            )
        experiment = _load(config, overrides, final=final, shifted=shifted)
        if seed is not None and seed not in experiment.seeds:
            raise typer.BadParameter(f"--seed must be one of {list(experiment.seeds)}, got {seed}")
        planned = plan(experiment, Path.cwd())
        of_stage = [step for step in planned if step.stage == stage]
        steps = [step for step in of_stage if seed is None or step.seed in (seed, None)]
        upstream = upstream_of(planned, steps)
        if only:
            refuse_differences(stage, upstream)
            upstream = []
        if stage == "report":
            _run_to_verdict(experiment, steps, upstream, as_json=as_json)
        elif steps:
            _run_stage(experiment, steps, upstream, as_json=as_json)
        else:
            typer.echo(f"no arm of this config asks for stage {stage}; nothing to do", err=True)

    return command


def _run_stage(
    experiment: ExperimentConfig,
    steps: Sequence[Step],
    upstream: Sequence[Step],
    *,
    as_json: bool,
) -> None:
    """Run one stage for each repetition, and print what it measured."""
    from synthdata.loop import run_steps

    done = run_steps(experiment, steps, upstream=upstream)
    repetitions = {f"seed-{step.seed}": of for step, of in zip(steps, done, strict=True)}
    if as_json:
        typer.echo(json.dumps(repetitions, indent=2))
    elif steps[0].stage == "score":
        _show_layout_scores(repetitions)


def _show_layout_scores(repetitions: Mapping[str, Mapping[str, Any]]) -> None:
    from synthdata.report import render_layout_score

    for name, metrics in repetitions.items():
        Console().print(f"\n[bold]{name}[/bold]\n", render_layout_score(metrics))


for _stage in STAGES:
    app.command(
        _stage,
        help=f"Run the `{_stage}` stage, and what it needs first where that isn't there.\n\n"
        f"Example: `synthdata {_stage} quickstart.yaml`",
        rich_help_panel="Stages",
    )(_stage_command(_stage))


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
