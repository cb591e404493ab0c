"""Commands that deliver a finished run's detector."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthdata.cli.app import Json, app

if TYPE_CHECKING:
    from synthdata.delivery.choice import TrainedDetector

Run = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its folder")]
Arm = Annotated[str | None, typer.Option("--arm", help="else the advised one")]
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
    from synthdata.delivery.outputs import fresh_folder
    from synthdata.delivery.predict import predict_pictures

    detector = _open(run, arm, seed)
    out_dir = out or fresh_folder(Path("predictions"), detector.name)
    found = predict_pictures(detector, path, out_dir=out_dir, confidence=confidence)
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
    from synthdata.delivery.export import export_with_card
    from synthdata.delivery.outputs import fresh_folder

    detector = _open(run, arm, seed)
    path = out or fresh_folder(Path("exports"), detector.name) / "model.onnx"
    card = export_with_card(detector, path)
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
    from synthdata.delivery.card import describe_detector, write_card
    from synthdata.delivery.card_text import render_card

    card = describe_detector(_open(run, arm, seed))
    if out is not None:
        write_card(card, out)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
    else:
        typer.echo(str(out / "model-card.md") if out else render_card(card))


def _open(run: str, arm: str | None, seed: int | None) -> "TrainedDetector":
    """Return the detector that is asked for, and say on stderr which it is."""
    from synthdata.delivery.choice import open_detector
    from synthdata.report.finished import find_run

    detector = open_detector(find_run(run, Path.cwd()), arm=arm, seed=seed)
    typer.echo(
        f"detector of run {detector.run_dir.name}, arm {detector.arm}, seed {detector.seed}: "
        f"{detector.weights}",
        err=True,
    )
    return detector
