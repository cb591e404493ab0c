"""What the autoencoder lets through: images that were encoded and decoded again.

    python benchmarks/reconstruct.py runs/bccd-24/seed-0

The judge of a finished run looks for val's objects in reconstructed val images, and, as in stage
`score`, what a detector learns from reconstructed train images alone is set beside what it learns
from the images themselves. What is missing there no denoiser can bring back.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image

from synthdata.config.score import ScoreConfig
from synthdata.detectors.jobs import train_and_predict
from synthdata.manifest import load_dataset
from synthdata.metrics.layout_score import score_layouts
from synthdata.runfolder import read_section
from synthdata.samples import DetectionDataset, Sample, join_datasets
from synthdata.scoring import judge_images, learn_alone
from synthdata.seeding import derive_seed
from synthdata.training.autoencoder import to_model_range
from synthdata.training.card import read_card


def reconstruct(real: DetectionDataset, model_dir: Path, root: Path) -> DetectionDataset:
    """Return images as they come out of the model's autoencoder, written to `root`."""
    folder = model_dir / read_card(model_dir).pipeline / "vae"
    autoencoder = AutoencoderTiny.from_pretrained(folder, local_files_only=True).eval()

    def samples() -> Iterator[Sample]:
        for sample in real:
            with Image.open(real.image_path(sample)) as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB")))
            with torch.inference_mode():
                latents = autoencoder.encode(to_model_range(pixels[None])).latents
                output = autoencoder.decode(latents).sample[0].clamp(-1, 1)
            decoded = ((output + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            path = Path(f"{sample.sample_id}.png")
            Image.fromarray(decoded).save(root / path)
            yield replace(sample, path=path)

    return replace(real, root=root, samples=tuple(samples()))


def main() -> None:
    """Print the score in total and a class, and what is learnt alone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage score done")
    folder: Path = parser.parse_args().repetition.absolute()
    section = ScoreConfig.model_validate(read_section(folder / "score"))
    prepared = load_dataset(folder / "prepare")
    val = prepared.split("val")
    with tempfile.TemporaryDirectory() as root:
        # A copy: the run's own judge stays as it is, with what it found for the run.
        judge = shutil.copytree(folder / "score" / "judge", Path(root) / "judge")
        decoded = reconstruct(val, folder / "fit", Path(root))
        found = train_and_predict(
            section.judge.detector,
            train=judge_images(prepared),
            targets=join_datasets(real=val, decoded=decoded),
            steps=section.judge.steps,
            batch_size=section.judge.batch_size,
            seed=derive_seed(section.seed, "score-judge"),
            threads=section.judge.threads,
            out_dir=judge,
        )
        train = prepared.split("train")
        alone = learn_alone(
            section,
            real=train,
            pool=reconstruct(train, folder / "fit", Path(root)),
            val=val,
            out_dir=Path(root) / "alone",
        )
    score = score_layouts(
        real=val,
        real_detections=found[: len(val)],
        generated=decoded,
        generated_detections=found[len(val) :],
        seed=0,
    )
    print(json.dumps(score.to_json() | {"alone": alone}, indent=2))


if __name__ == "__main__":
    main()
