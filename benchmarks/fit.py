"""Training speed: a step of synthdata's denoiser against the plain diffusers way, in the same run.

    python benchmarks/fit.py runs/bccd-24/seed-0

Both train the same UNet, ControlNet and text encoder on the same crops with the same batch size,
loss and AdamW. The plain way is that of diffusers' own training examples: float32, contiguous
tensors, and at each step the images are encoded and the control images drawn. synthdata's has all
of that precomputed. FLOP/s are those of the models' matrix products and convolutions in a step of
synthdata's, over the matmul rate that this machine reaches in this run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionControlNetPipeline
from machine import matmul_rates, seconds
from torch.utils.flop_counter import FlopCounterMode

from synthdata.config.fit import EmbeddedModel, FitConfig
from synthdata.manifest import load_dataset
from synthdata.runfolder import read_section
from synthdata.training.card import read_card
from synthdata.training.crops import Crops, make_crops
from synthdata.training.denoiser import Denoiser, build_scheduler, denoising_loss
from synthdata.training.embedded import make_denoiser_data
from synthdata.training.hardware import Hardware, choose_hardware, with_formats

_PLAIN = Hardware(torch.device("cpu"), torch.float32, channels_last=False)


class Trial:
    """Trains a fitted model on, in one of the two ways."""

    def __init__(self, folder: Path, hardware: Hardware) -> None:
        self.section = FitConfig.model_validate(read_section(folder / "fit"))
        if not isinstance(self.section.model, EmbeddedModel):
            raise SystemExit(f"{folder} was fitted with a pretrained model; name an embedded one")
        self.model = self.section.model
        self.names = load_dataset(folder / "prepare").class_names
        self.hardware = hardware
        self.scheduler = build_scheduler()
        self.pipeline = StableDiffusionControlNetPipeline.from_pretrained(
            folder / "fit" / read_card(folder / "fit").pipeline, local_files_only=True
        )
        parts = (self.pipeline.unet, self.pipeline.controlnet, self.pipeline.text_encoder)
        self.denoiser = Denoiser(*parts).to(memory_format=hardware.memory_format).train()
        self.optimizer = torch.optim.AdamW(self.denoiser.parameters(), lr=1e-6)
        self.generator = torch.Generator().manual_seed(0)

    def encode(self, crops: Crops) -> Any:  # noqa: ANN401
        """Return what a step is trained on."""
        return make_denoiser_data(
            self.section, self.model.denoiser, crops, self.names,
            autoencoder=self.pipeline.vae, tokenizer=self.pipeline.tokenizer,
            hardware=self.hardware,
        )  # fmt: skip

    def step(self, data: Any) -> None:  # noqa: ANN401
        """Make one optimizer step."""
        loss = denoising_loss(
            self.denoiser, data, self.model.denoiser,
            scheduler=self.scheduler, hardware=self.hardware, generator=self.generator,
        )  # fmt: skip
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def main() -> None:
    """Print steps a second of both, their ratio and the share of the machine's peak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage fit done")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    folder: Path = arguments.repetition

    plain = Trial(folder, _PLAIN)
    section, model = plain.section, plain.model
    batch_size = model.denoiser.batch_size
    train = load_dataset(folder / "prepare").split("train")
    crops = make_crops(train, model.crops.model_copy(update={"num_crops": batch_size}), seed=0)
    plain_s = seconds(lambda: plain.step(plain.encode(crops)), repeats=arguments.repeats)
    # Not before: from now on torch flushes denormal numbers to zero.
    hardware = with_formats(
        choose_hardware(section.device), model.mixed_precision, channels_last=model.channels_last
    )
    ours = Trial(folder, hardware)
    data = ours.encode(crops)
    with FlopCounterMode(display=False) as counter:
        ours.step(data)
    flops = counter.get_total_flops()
    ours_s = seconds(lambda: ours.step(data), repeats=arguments.repeats)
    peak = matmul_rates()
    result = {
        "steps_per_s": {"plain diffusers, fp32": 1 / plain_s, "ours": 1 / ours_s},
        "ratio": plain_s / ours_s,
        "batch_size": batch_size,
        "gflop_per_step": flops / 1e9,
        "gflops": {"plain": flops / plain_s / 1e9, "ours": flops / ours_s / 1e9},
        "matmul_gflops": {name: value / 1e9 for name, value in peak.items()},
        "share_of_matmul_peak": {name: flops / ours_s / value for name, value in peak.items()},
        **ours.hardware.describe(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
