"""A command for each stage."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from synthdata.cli.app import ConfigArgument, Final, Json, Only, Overrides, Shifted, app
from synthdata.cli.loop import load, run_to_verdict
from synthdata.config import STAGES, ExperimentConfig, StageName
from synthdata.plan import Step, plan
from synthdata.upstream import refuse_differences, upstream_of


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
        experiment = load(config, overrides, final=final, shifted=shifted)
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
            run_to_verdict(experiment, steps, upstream, as_json=as_json)
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
