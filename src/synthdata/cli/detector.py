"""Commands that deliver a finished run's detector."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthdata.cli.app import Json, app

if TYPE_CHECKING:
    from synthdata.delivery import TrainedDetector

Run = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its folder")]
Arm = Annotated[str | None, typer.Option("--arm", help="else the one of the run's headline")]
Seed = Annotated[int | None, typer.Option("--seed", help="else the first repetition")]


@app.command()
def predict(  # noqa: PLR0913  # a command's options
    run: Run,
    path: Annotated[Path, typer.Argument(help="an image, or a folder of images, of any size")],
    arm: Arm = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option("--out", help="a folder that isn't there")] = None,
    confidence: Annotated[float, typer.Option(min=0.001, max=1, help="the least to show")] = 0.25,
    as_json: Json = False,
) -> None:
    """Find objects in images with a run's detector: COCO results, and pictures with boxes.

    Example: `synthdata predict quickstart my-photos`
    """
    from synthdata import delivery

    detector = _open(run, arm, seed)
    out_dir = out or delivery.fresh_folder(Path("predictions"), detector.name)
    found = delivery.predict(detector, path, out_dir=out_dir, confidence=confidence)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(
            f"{found['num_detections']} objects in {found['num_images']} images: {found['folder']}"
        )


@app.command("export-detector")
def export_detector(
    run: Run,
    _format: Annotated[Literal["onnx"], typer.Option("--format", help="what to write")],
    arm: Arm = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option("--out", help="a file that isn't there")] = None,
    as_json: Json = False,
) -> None:
    """Write a run's detector as ONNX, checked against torch, and its model card beside it.

    Example: `synthdata export-detector quickstart --format onnx`
    """
    from synthdata import delivery

    detector = _open(run, arm, seed)
    path = out or delivery.fresh_folder(Path("exports"), detector.name) / "model.onnx"
    card = delivery.export_detector(detector, path)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
    else:
        difference = card["exported"]["largest_difference"]
        typer.echo(f"{path}, as torch within {difference:.1g}; model-card.md is beside it")


@app.command("model-card")
def model_card(
    run: Run,
    arm: Arm = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option("--out", help="a folder; else it is shown")] = None,
    as_json: Json = False,
) -> None:
    """Say what a run's detector is, how it scored, and what it was never tested on.

    Example: `synthdata model-card quickstart --out cards`
    """
    from synthdata import delivery

    card = delivery.model_card(_open(run, arm, seed))
    if out is not None:
        delivery.write_card(card, out)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
    else:
        typer.echo(str(out / "model-card.md") if out else delivery.render_card(card))


def _open(run: str, arm: str | None, seed: int | None) -> "TrainedDetector":
    """Return the detector that is asked for, and say on stderr which it is."""
    from synthdata import delivery

    detector = delivery.open_detector(delivery.find_run(run, Path.cwd()), arm=arm, seed=seed)
    typer.echo(
        f"detector of run {detector.run_dir.name}, arm {detector.arm}, seed {detector.seed}: "
        f"{detector.weights}",
        err=True,
    )
    return detector
