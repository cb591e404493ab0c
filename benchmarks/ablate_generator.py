"""What each choice of the embedded generator is worth: the layout score of variants of a config.

    python benchmarks/ablate_generator.py configs/bccd-24.yaml --draws 100 101 102 \
        --csv docs/benchmarks/generator.csv \
        --variant baseline \
        --variant object-weight fit.model.denoiser.object_weight=1 \
        --variant no-whitening without=whitening

Each variant is fitted on each few-shot draw (development draws are 100 and up) and scored on the
layouts of val. A row is appended as soon as it is measured; rows that the file has are skipped,
so that a killed call goes on. `settings` is the digest of all that a row depends on, whatever the
config says later. All variants share one judge and, of each draw, what real images teach; those
that differ in sampling only share their fit. Some variants no config has, since nobody should want
them:

- `without=whitening`: the latents stay as the autoencoder makes them, but for one scale.
- `without=woken-control`: the ControlNet's zero convolutions start at zero.
- `without=outlines`: the control image has the class channels only.
- `without=zero-snr`: the noise schedule ends with a rest of signal, as Stable Diffusion's does.
- `with=perceptual-loss`: the autoencoder's loss has a part for EfficientNet's features.
"""

import argparse
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from diffusers import DDIMScheduler

from synthdata.boxes import FloatArray
from synthdata.conditioning import control_map
from synthdata.config import load_config
from synthdata.config.experiment import ExperimentConfig
from synthdata.config.fit import AutoencoderConfig
from synthdata.config.pools import GeneratorPool
from synthdata.detectors.base import JOB
from synthdata.features.efficientnet import EfficientNetLite0
from synthdata.files import read_json, replacing_dir, sha256_json
from synthdata.manifest import load_dataset
from synthdata.plan import plan
from synthdata.runfolder import METRICS
from synthdata.samples import UInt8Array
from synthdata.scoring import score_generator
from synthdata.stages import run_step
from synthdata.training.autoencoder import (
    _random_crops,
    encode_images,
    reconstruction_loss,
    to_model_range,
)
from synthdata.training.denoiser import build_scheduler
from synthdata.training.hardware import Hardware

_PERCEPTUAL_WEIGHT = 0.1
_PERCEPTUAL_BLOCKS = (0, 2, 4)  # the last ones at a half, a quarter and an eighth of the size
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


@cache
def _perceptual_network(size: int) -> Any:  # noqa: ANN401
    return EfficientNetLite0()._network(size).requires_grad_(requires_grad=False)


def _feature_maps(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield maps of unit vectors, of `(N, 3, S, S)` in [-1, 1]."""
    network = _perceptual_network(images.shape[-1])
    maps = network._swish(network._bn0(network._conv_stem(images)))
    for number, block in enumerate(network._blocks[: _PERCEPTUAL_BLOCKS[-1] + 1]):
        maps = block(maps)
        if number in _PERCEPTUAL_BLOCKS:
            yield F.normalize(maps, dim=1)


def _with_perceptual_loss(
    autoencoder: Any,  # noqa: ANN401
    images: torch.Tensor,
    config: AutoencoderConfig,
    *,
    hardware: Hardware,
    generator: torch.Generator,
) -> torch.Tensor:
    """Add squared differences of features, after Zhang et al. 2018 (LPIPS), unweighted."""
    state = generator.get_state()
    loss = reconstruction_loss(autoencoder, images, config, hardware=hardware, generator=generator)
    # The same crops again: what the loss reconstructs it keeps to itself.
    generator.set_state(state)
    batch = to_model_range(_random_crops(images, config, generator))
    with hardware.autocast():
        output = autoencoder.decode(autoencoder.encode(batch).latents).sample.float()
    for made, real in zip(_feature_maps(output), _feature_maps(batch), strict=True):
        loss = loss + _PERCEPTUAL_WEIGHT * (made - real).square().sum(dim=1).mean()
    return loss


# Patched, not configured: a switch that nobody should use would be in everyone's way.
_SWITCHES: dict[str, dict[str, Callable[..., Any]]] = {
    "with=perceptual-loss": {"training.embedded.reconstruction_loss": _with_perceptual_loss},
    "without=whitening": {"training.embedded.fold_whitening": _scale_only},
    "without=woken-control": {"training.denoiser._wake_zero_convolutions": lambda _: None},
    "without=outlines": {
        "training.embedded.control_map": _without_outlines,
        "generators.controlnet.control_map": _without_outlines,
    },
    "without=zero-snr": {"training.embedded.build_scheduler": _without_zero_snr},
}


def measure(
    config: ExperimentConfig, *, switches: Sequence[str], work_dir: Path, scores: Path
) -> dict[str, Any]:
    """Fit the config's generator on its draw and return its layout score and what it took."""
    sections = [config.model_dump(mode="json", include={"prepare", "fit"}), *switches]
    config = config.model_copy(update={"name": f"fit-{sha256_json(sections)[:12]}"})
    has_alone = config.score is not None and config.score.alone is not None
    needed = ["prepare", "fit"] + (["layout", "generate"] if has_alone else [])
    folders = {}
    for step in plan(config, work_dir):
        if step.stage in needed:
            run_step(step)
            folders[step.stage] = step.out_dir
    prepared = load_dataset(folders["prepare"])
    pool = load_dataset(folders["generate"]) if has_alone else replace(prepared, samples=())
    name = config.scored_pool
    scored_pool = config.pools[name] if name else None
    if config.score is None or not isinstance(scored_pool, GeneratorPool):
        raise SystemExit(
            "the config scores no pool; add a section score and a pool that it can score"
        )
    draw = sha256_json([config.prepare.model_dump(mode="json"), config.seeds])[:12]
    trained = {"judge": work_dir / "judge", "alone/real": work_dir / f"alone-real-{draw}"}
    with _sharing(trained, scores):
        # Seed 0 for every draw: one judge, and the same noise for the same layout.
        scored = score_generator(
            config.score.model_copy(update={"seed": 0, "pool": name}),
            generator=scored_pool,
            prepared=prepared,
            pool=pool.where(pool=name),
            model_dir=folders["fit"],
            out_dir=scores,
        )
    return _row(scored, read_json(folders["fit"] / METRICS))


@contextmanager
def _sharing(trained: Mapping[str, Path], scores: Path) -> Iterator[None]:
    """Share trainings on real images, which are the same for all variants, and no more.

    Args:
        trained: Where each is kept, by its place in `scores`.
        scores: Left by an earlier call it may be of other weights, but for its trainings.
    """
    for path in scores.glob("*"):
        if path.name not in {Path(part).parts[0] for part in trained}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for part, kept in trained.items():
        if kept.is_dir() and not (scores / part).is_dir():
            shutil.copytree(kept, scores / part)
    yield
    for part, kept in trained.items():
        if (scores / part).is_dir() and _key(kept) != _key(scores / part):
            with replacing_dir(kept) as temporary:
                shutil.copytree(scores / part, temporary, dirs_exist_ok=True)


def _key(training: Path) -> str:
    job = training / JOB
    return str(read_json(job)["key"]) if job.is_file() else ""


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
        "fit_s": sum(phase["elapsed_s"] for phase in fitted["phases"].values()),
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


def _settings(config: ExperimentConfig, switches: Sequence[str]) -> str:
    names = {"prepare", "fit", "layout", "generate", "score", "pools"}
    dumped = config.model_dump(mode="json", include=names)
    return sha256_json([dumped, *config.seeds, *switches])[:12]


def _measure_once(
    arguments: argparse.Namespace, variant: str, draw: int, overrides: Sequence[str]
) -> None:
    key = {"config": Path(arguments.config).stem, "variant": variant, "draw": draw}
    path: Path = arguments.csv
    known = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(key))
    switches = [item for item in overrides if item in _SWITCHES]
    values = [item for item in overrides if item not in _SWITCHES]
    config = load_config(arguments.config, [*values, f"seeds=[{draw}]"])
    settings = _settings(config, switches)
    same = known[(known[list(key)] == pd.Series(key)).all(axis=1)]
    if len(same) and (same["settings"] == settings).all():
        return
    if len(same):
        raise SystemExit(f"{path} has a row {key} of other settings; name the variant otherwise")
    work_dir = arguments.work_dir.absolute()
    with ExitStack() as stack:
        for name in switches:
            for target, replacement in _SWITCHES[name].items():
                stack.enter_context(patch(f"synthdata.{target}", replacement))
        row = measure(
            config,
            switches=switches,
            work_dir=work_dir,
            scores=work_dir / "scores" / f"{variant}-{draw}",
        )
    row = key | row | {"settings": settings, "overrides": " ".join(overrides)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row]).round(4).to_csv(path, mode="a", header=not path.is_file(), index=False)
    logger.info("%s, draw %d: layout score %s", variant, draw, row["layout_score"])


if __name__ == "__main__":
    main()
