"""What each choice of the embedded generator is worth: the layout score of variants of a config.

    python benchmarks/ablate_generator.py configs/bccd-24.yaml --draws 100 101 102 \
        --csv docs/benchmarks/generator.csv \
        --variant baseline \
        --variant object-weight fit.model.denoiser.object_weight=1 \
        --variant no-whitening without=whitening

Each variant is fitted on each few-shot draw (development draws are 100 and up) and scored on the
layouts of val. A row is appended as soon as it is measured; rows that the file has are skipped,
so that a killed call goes on. All variants share one judge, and those that differ in sampling only
share their fit. `without=` leaves out what no config switches off, since nobody should:

- `whitening`: the latents stay as the autoencoder makes them, but for one scale.
- `woken-control`: the ControlNet's zero convolutions start at zero.
- `outlines`: the control image has the class channels only.
- `zero-snr`: the noise schedule ends with a rest of signal, as Stable Diffusion's does.
"""

import argparse
import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from diffusers import DDIMScheduler

from synthdata.boxes import FloatArray
from synthdata.conditioning import control_map
from synthdata.config import load_config
from synthdata.config.experiment import ExperimentConfig
from synthdata.files import read_json, sha256_json
from synthdata.manifest import load_dataset
from synthdata.plan import plan
from synthdata.runfolder import METRICS
from synthdata.samples import UInt8Array
from synthdata.scoring import score_generator
from synthdata.stages import run_step
from synthdata.training.autoencoder import encode_images
from synthdata.training.denoiser import build_scheduler
from synthdata.training.hardware import Hardware

# Patched, not configured: a switch that nobody should use would be in everyone's way.
_PREFIX = "without="
logger = logging.getLogger("benchmarks.ablate_generator")


def _without_outlines(*args: Any, **kwargs: Any) -> FloatArray:  # noqa: ANN401
    control = control_map(*args, **kwargs)
    control[-1] = 0
    return control


@torch.no_grad()
def _scale_only(autoencoder: Any, images: UInt8Array, hardware: Hardware) -> None:  # noqa: ANN401
    """Give the latents unit variance over all channels together, as Stable Diffusion does."""
    factor = 1 / encode_images(autoencoder, images, hardware).std()
    first, last = autoencoder.decoder.layers[0], autoencoder.encoder.layers[-1]
    first.weight.div_(factor)
    for parameter in (last.weight, last.bias):
        parameter.mul_(factor)


def _without_zero_snr() -> Any:  # noqa: ANN401
    config = {**build_scheduler().config, "rescale_betas_zero_snr": False}
    return DDIMScheduler.from_config(config)


_WITHOUT: dict[str, dict[str, Callable[..., Any]]] = {
    "whitening": {"training.embedded.fold_whitening": _scale_only},
    "woken-control": {"training.denoiser._wake_zero_convolutions": lambda _: None},
    "outlines": {
        "training.embedded.control_map": _without_outlines,
        "generators.controlnet.control_map": _without_outlines,
    },
    "zero-snr": {"training.embedded.build_scheduler": _without_zero_snr},
}


def measure(
    config: ExperimentConfig, *, without: str, work_dir: Path, scores: Path
) -> dict[str, Any]:
    """Fit the config's generator on its draw and return its layout score and what it took."""
    sections = [section.model_dump(mode="json") for section in (config.prepare, config.fit)]
    sections += [without] if without else []
    config = config.model_copy(update={"name": f"fit-{sha256_json(sections)[:12]}"})
    needed = ["prepare", "fit"] + (["layout", "generate"] if config.score.alone else [])
    folders = {}
    for step in plan(config, work_dir):
        if step.stage in needed:
            run_step(step)
            folders[step.stage] = step.out_dir
    prepared = load_dataset(folders["prepare"])
    pool = (
        load_dataset(folders["generate"]) if config.score.alone else replace(prepared, samples=())
    )
    judge = work_dir / "judge"
    if judge.is_dir() and not scores.is_dir():
        shutil.copytree(judge, scores / "judge")
    # Seed 0 for every draw: one judge, and the same noise for the same layout.
    scored = score_generator(
        config.score.model_copy(update={"seed": 0}),
        generator=config.generate.generators[config.score.pool],
        prepared=prepared,
        pool=pool.where(generator=config.score.pool),
        model_dir=folders["fit"],
        out_dir=scores,
    )
    if not judge.is_dir():
        shutil.copytree(scores / "judge", judge)
    return _row(scored, read_json(folders["fit"] / METRICS))


def _row(scored: dict[str, Any], fitted: dict[str, Any]) -> dict[str, Any]:
    boxes, pool = scored["boxes"]["generated"], next(iter(scored["pools"].values()))
    return {
        "layout_score": scored["score"],
        "shuffled": scored["shuffled_score"],
        **{f"score_{name}": one["score"] for name, one in scored["per_class"].items()},
        **{f"boxes_{name}": boxes[name] / boxes["promised"] for name in ("missing", "extra")},
        "novelty": scored["novelty"]["ratio"],
        "alone": scored["alone"]["ratio"] if scored["alone"] else None,
        "autoencoder_psnr_db": fitted["autoencoder_psnr_db"],
        "fit_s": fitted["elapsed_s"],
        "images_per_s": pool["images_per_s"],
        "dtype": fitted["dtype"],
        "torch": torch.__version__,
    }


def main() -> None:
    """Measure every variant on every draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("--draws", type=int, nargs="+", default=[100])
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs") / "ablation")
    parser.add_argument("--variant", nargs="+", action="append", required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for draw in arguments.draws:
        for name, *overrides in arguments.variant:
            _measure_once(arguments, name, draw, overrides)


def _measure_once(
    arguments: argparse.Namespace, variant: str, draw: int, overrides: Sequence[str]
) -> None:
    key = {"config": Path(arguments.config).stem, "variant": variant, "draw": draw}
    path: Path = arguments.csv
    known = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(key))
    if (known[list(key)] == pd.Series(key)).all(axis=1).any():
        return
    without = [item.removeprefix(_PREFIX) for item in overrides if item.startswith(_PREFIX)]
    values = [item for item in overrides if not item.startswith(_PREFIX)]
    config = load_config(arguments.config, [*values, f"seeds=[{draw}]"])
    work_dir = arguments.work_dir.absolute()
    with ExitStack() as stack:
        for name in without:
            for target, replacement in _WITHOUT[name].items():
                stack.enter_context(patch(f"synthdata.{target}", replacement))
        row = measure(
            config,
            without=" ".join(without),
            work_dir=work_dir,
            scores=work_dir / "scores" / f"{variant}-{draw}",
        )
    row = key | row | {"overrides": " ".join(overrides)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row]).round(4).to_csv(path, mode="a", header=not path.is_file(), index=False)
    logger.info("%s, draw %d: layout score %s", variant, draw, row["layout_score"])


if __name__ == "__main__":
    main()
