"""Sampling speed: synthdata's generator against the plain diffusers call, in the same run.

    python benchmarks/generate.py runs/bccd-24/seed-0 --num-images 16

Both use the same weights, layouts, seeds and steps. The plain call is
`StableDiffusionControlNetPipeline` as it is loaded: float32, one image at a time. FLOP/s are those
of the matrix products and convolutions that the plain call makes, over the matmul rate in bfloat16
(and float32) that this machine reaches in this run.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionControlNetPipeline
from machine import matmul_rates, seconds
from torch.utils.flop_counter import FlopCounterMode

from synthdata.conditioning import control_map, prompt_for
from synthdata.config.generate import GenerateConfig
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.manifest import load_dataset, load_layouts
from synthdata.runfolder import read_section
from synthdata.samples import GenerationRequest
from synthdata.training.card import read_card


def main() -> None:
    """Print images a second of both, their ratio and the share of the machine's peak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage generate done")
    parser.add_argument("--pool", default="synthetic")
    parser.add_argument("--num-images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder: Path = arguments.repetition

    config = GenerateConfig.model_validate(read_section(folder / "generate"))
    settings, card = config.generators[arguments.pool], read_card(folder / "fit")
    names = load_dataset(folder / "prepare").class_names
    requests = [
        GenerationRequest(f"image-{i}", layout, prompt_for(layout, names, card.prompt_template), i)
        for i, layout in enumerate(load_layouts(folder / "layout")[: arguments.num_images])
    ]
    plain = StableDiffusionControlNetPipeline.from_pretrained(
        folder / "fit" / card.pipeline, local_files_only=True, use_safetensors=True
    )
    plain.set_progress_bar_config(disable=True)

    def call_plain(request: GenerationRequest) -> None:
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

    with FlopCounterMode(display=False) as counter:
        call_plain(requests[0])
    flops = counter.get_total_flops()
    ours = ControlNetGenerator(settings, folder / "fit", class_names=names)
    plain_s = seconds(lambda: call_plain(requests[0]), repeats=arguments.repeats)
    ours_s = seconds(lambda: list(ours.generate(requests)), repeats=arguments.repeats)
    ours_s /= len(requests)
    peak = matmul_rates()
    result = {
        "images_per_s": {"plain diffusers, fp32, one at a time": 1 / plain_s, "ours": 1 / ours_s},
        "ratio": plain_s / ours_s,
        "gflop_per_image": flops / 1e9,
        "gflops": {"plain": flops / plain_s / 1e9, "ours": flops / ours_s / 1e9},
        "matmul_gflops": {name: value / 1e9 for name, value in peak.items()},
        "share_of_matmul_peak": {name: flops / ours_s / value for name, value in peak.items()},
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
