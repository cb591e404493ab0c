"""Sampling speed: synthdata's generator against the plain diffusers call, in the same run.

    python benchmarks/generate.py runs/bccd-24/seed-0 --num-images 16

Both use the same weights, layouts, seeds, steps and guidance scale. The plain call is
`StableDiffusionControlNetPipeline` as it is loaded: float32, one image at a time, guided in every
step. It is measured first, since synthdata has torch flush denormal numbers to zero from then on,
in the whole process, which is part of its speed. synthdata's is stage `generate`, files included,
as configured and, where only some steps are guided, guided throughout too. FLOP/s are those of the
matrix products and convolutions that each makes, over the matmul rate that this machine reaches in
this run.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from diffusers import StableDiffusionControlNetPipeline
from machine import matmul_rates, seconds
from torch.utils.flop_counter import FlopCounterMode

from synthdata.conditioning import control_map, prompt_for
from synthdata.config.generate import ControlNetConfig, GenerateConfig
from synthdata.generators import ImageGenerator, build_generator
from synthdata.generators.pools import generate_pools
from synthdata.manifest import load_dataset, load_layouts
from synthdata.runfolder import read_section
from synthdata.samples import GenerationRequest
from synthdata.training.card import read_card

# Images of the plain call, which makes them one at a time anyway.
_NUM_PLAIN = 16


def main() -> None:
    """Print images a second of each way, their ratios and shares of the machine's peak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage generate done")
    parser.add_argument("--pool", default="synthetic")
    parser.add_argument("--num-images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder: Path = arguments.repetition

    config = GenerateConfig.model_validate(read_section(folder / "generate"))
    settings, card = config.generators[arguments.pool], read_card(folder / "fit")
    if not isinstance(settings, ControlNetConfig):
        raise SystemExit(f"pool {arguments.pool} is of kind {settings.kind}; name a controlnet's")
    train = load_dataset(folder / "prepare").split("train")
    names, layouts = train.class_names, load_layouts(folder / "layout")[: arguments.num_images]
    requests = [
        GenerationRequest(f"image-{i}", layout, prompt_for(layout, names, card.prompt_template), i)
        for i, layout in enumerate(layouts)
    ]
    plain = StableDiffusionControlNetPipeline.from_pretrained(
        folder / "fit" / card.pipeline, local_files_only=True, use_safetensors=True
    )
    plain.set_progress_bar_config(disable=True)

    few = requests[:_NUM_PLAIN]

    def call_plain() -> None:
        for request in few:
            layout = request.layout
            plain(
                prompt=request.prompt,
                image=torch.from_numpy(control_map(layout, len(names)))[None],
                width=layout.width,
                height=layout.height,
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale,
                generator=torch.Generator("cpu").manual_seed(request.seed),
            )

    variants = {"as configured": settings}
    throughout = settings.model_copy(update={"guidance_start": 0.0, "guidance_end": 1.0})
    if throughout != settings:
        variants["guided in every step"] = throughout

    def call_stage(variant: ControlNetConfig) -> float:
        section = config.model_copy(update={"generators": {arguments.pool: variant}})
        with TemporaryDirectory() as scratch:
            made = generate_pools(
                section, model_dir=folder / "fit", train=train, layouts=layouts,
                out_dir=Path(scratch),
            )  # fmt: skip
        return float(made["pools"][arguments.pool]["images_per_s"])

    rows = {
        "plain diffusers": (
            count_flops(call_plain) / len(few),
            len(few) / seconds(call_plain, repeats=arguments.repeats),
        )
    }
    for name, variant in variants.items():
        generator = build_generator(variant, model_dir=folder / "fit", dataset=train)
        rates = [call_stage(variant) for _ in range(arguments.repeats)]
        rows[f"synthdata, {name}"] = (
            count_flops(partial(sample, generator, requests)) / len(requests),
            median(rates),
        )
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["gflop_per_image", "images_per_s"]
    )
    table["gflop_per_image"] /= 1e9
    table["gflops"] = table["images_per_s"] * table["gflop_per_image"]
    table["ratio"] = table["images_per_s"] / table["images_per_s"].iloc[0]
    for dtype, peak in matmul_rates().items():
        print(f"matmul, {dtype}: {peak / 1e9:.0f} GFLOP/s")
        table[f"of {dtype} matmul"] = table["gflops"] * 1e9 / peak
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(table.round(3).to_markdown())


def sample(generator: ImageGenerator, requests: Sequence[GenerationRequest]) -> None:
    """Make the requests' images and forget them."""
    for _ in generator.generate(requests):
        pass


def count_flops(work: Callable[[], object]) -> int:
    """Return the operations of work in this thread."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


if __name__ == "__main__":
    main()
