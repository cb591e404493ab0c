"""Sampling speed: synthdata's generator against the plain diffusers call, in the same run.

    python benchmarks/generate.py runs/bccd-24/seed-0

Both use the same weights, layouts, seeds, steps and guidance scale. The plain call is
`StableDiffusionControlNetPipeline` as it is loaded: float32, one image at a time, guided in every
step. synthdata's is stage `generate`, files included, as configured and, where only some steps are
guided, guided throughout too. Loading isn't counted. Each is measured in processes of its own, by
turns, warmed up: their speed varies from one process to the next, and synthdata has torch flush
denormal numbers to zero, which would make the plain call faster too. Rates are medians over the
processes; the lowest and highest ratio are of one turn. FLOP/s are those of the matrix products
and convolutions that each makes, over the matmul rate that this machine reaches in this run.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from diffusers import StableDiffusionControlNetPipeline
from machine import matmul_rates, seconds
from torch.utils.flop_counter import FlopCounterMode

from synthdata.conditioning import control_map, prompt_for
from synthdata.config.generate import GenerateConfig
from synthdata.config.generator import ControlNetConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.pools import GeneratorPool
from synthdata.generators import build_generator
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.layout import load_layout_sets
from synthdata.manifest import load_dataset
from synthdata.runfolder import read_section
from synthdata.samples import GenerationRequest, Layout
from synthdata.training.card import read_card

_NUM_IMAGES = 64
# Images of the plain call, which makes them one at a time anyway; and those that are counted.
_NUM_PLAIN = 16
_PLAIN = "plain diffusers"


@dataclass(frozen=True)
class Repetition:
    """The folder `runs/<name>/seed-<s>` and the pool to make again."""

    folder: Path
    pool: str

    @property
    def section(self) -> GenerateConfig:
        """Settings of stage `generate`."""
        return GenerateConfig.model_validate(read_section(self.folder / "generate"))

    @property
    def settings(self) -> ControlNetConfig:
        """Settings of the pool."""
        pool = self.section.pools[self.pool]
        if not isinstance(pool, GeneratorPool) or not isinstance(pool.generator, ControlNetConfig):
            raise SystemExit(f"pool {self.pool} has no generator of kind controlnet; name another")
        return pool.generator

    @property
    def layouts(self) -> list[Layout]:
        """What the pool's images show."""
        section = LayoutConfig.model_validate(read_section(self.folder / "layout"))
        balance = getattr(self.section.pools[self.pool], "balance", None)
        return load_layout_sets(self.folder / "layout", section)[balance or 0.0]

    def ways(self) -> dict[str, ControlNetConfig | None]:
        """Return synthdata's settings by the name of a way; None for the plain call."""
        throughout = self.settings.model_copy(update={"guidance_start": 0.0, "guidance_end": 1.0})
        ways = {_PLAIN: None, "synthdata, as configured": self.settings}
        if throughout != self.settings:
            ways["synthdata, guided in every step"] = throughout
        return ways

    def requests(self) -> list[GenerationRequest]:
        """Return what the plain call makes."""
        card = read_card(self.folder / "fit")
        return [
            GenerationRequest(
                f"image-{i}", layout, prompt_for(layout, card.class_names, card.prompt_template), i
            )
            for i, layout in enumerate(self.layouts[:_NUM_PLAIN])
        ]


class PlainCall:
    """diffusers' own pipeline, as it is loaded."""

    def __init__(self, repetition: Repetition) -> None:
        card = read_card(repetition.folder / "fit")
        self._num_classes = len(card.class_names)
        self._settings, self._requests = repetition.settings, repetition.requests()
        self._pipeline = StableDiffusionControlNetPipeline.from_pretrained(
            repetition.folder / "fit" / card.pipeline, local_files_only=True, use_safetensors=True
        )
        self._pipeline.set_progress_bar_config(disable=True)

    def __call__(self) -> None:
        """Make the images one by one."""
        for request in self._requests:
            layout = request.layout
            self._pipeline(
                prompt=request.prompt,
                image=torch.from_numpy(control_map(layout, self._num_classes))[None],
                width=layout.width,
                height=layout.height,
                num_inference_steps=self._settings.num_inference_steps,
                guidance_scale=self._settings.guidance_scale,
                generator=torch.Generator("cpu").manual_seed(request.seed),
            )


def measure(repetition: Repetition, way: str) -> float:
    """Return the images a second of a way in this process."""
    settings = repetition.ways()[way]
    if settings is None:
        return _NUM_PLAIN / seconds(PlainCall(repetition), repeats=1)
    rates = [run_stage(repetition, settings) for _ in range(2)]
    return rates[-1]  # the first one warms up


def run_stage(repetition: Repetition, settings: ControlNetConfig) -> float:
    """Return the images a second of stage `generate`."""
    pool = GeneratorPool(kind="generator", generator=settings, balance=0.0)
    prepared = load_dataset(repetition.folder / "prepare")
    inputs = PoolInputs(
        train=prepared.split("train"),
        held_out=prepared.split("val"),
        layouts={0.0: repetition.layouts[:_NUM_IMAGES]},
        model_dir=repetition.folder / "fit",
    )
    with TemporaryDirectory() as scratch:
        metrics = generate_pools(
            repetition.section.model_copy(update={"pools": {repetition.pool: pool}}),
            inputs,
            out_dir=Path(scratch),
        )
    return float(metrics["pools"][repetition.pool]["images_per_s"])


def count_flops(repetition: Repetition, way: str) -> float:
    """Return the operations an image of a way."""
    settings = repetition.ways()[way]
    with FlopCounterMode(display=False) as counter:
        if settings is None:
            PlainCall(repetition)()
        else:
            train = load_dataset(repetition.folder / "prepare").split("train")
            generator = build_generator(
                settings, model_dir=repetition.folder / "fit", dataset=train
            )
            list(generator.generate(repetition.requests()))
    return counter.get_total_flops() / _NUM_PLAIN


def main() -> None:
    """Print images a second of each way, their ratios and shares of the machine's peak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage generate done")
    parser.add_argument("--pool", required=True, help="of a generator of kind controlnet")
    parser.add_argument("--processes", type=int, default=5, help="of each way")
    arguments = parser.parse_args()
    repetition = Repetition(arguments.repetition, arguments.pool)
    ways = list(repetition.ways())

    peaks = matmul_rates()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        turns = pd.DataFrame(
            {way: fresh.submit(measure, repetition, way).result() for way in ways}
            for _ in range(arguments.processes)
        )
    ratios = turns.div(turns[_PLAIN], axis="index")
    table = pd.DataFrame(
        {
            "images_per_s": turns.median(),
            "gflop_per_image": [count_flops(repetition, way) / 1e9 for way in ways],
            "ratio": turns.median() / turns[_PLAIN].median(),
            "lowest": ratios.min(),
            "highest": ratios.max(),
        }
    )
    table.insert(2, "gflops", table["images_per_s"] * table["gflop_per_image"])
    for dtype, peak in peaks.items():
        table[f"of {dtype} matmul"] = table["gflops"] * 1e9 / peak
        print(f"matmul, {dtype}: {peak / 1e9:.0f} GFLOP/s")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(table.round(3).to_markdown())


if __name__ == "__main__":
    main()
