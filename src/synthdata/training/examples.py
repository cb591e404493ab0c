"""What a fine-tuning is trained on, computed once: latents, control pictures and prompts.

The encoders are gone before the training begins, which leaves their memory to it, and the
processes of a training on several devices share one file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from synthdata.conditioning import control_picture, prompt_for
from synthdata.config.fit import FineTuneConfig, FitConfig, PretrainedModel
from synthdata.errors import ConfigError
from synthdata.files import replacing
from synthdata.samples import DetectionDataset
from synthdata.training.crops import Crops, make_crops
from synthdata.training.families import Family, encode_images
from synthdata.training.hardware import Hardware
from synthdata.training.pretrained import load_encoders

_BATCH = 8
_PROMPT = "prompt"
_TEXT = "text."
_NO_PROMPT = 0


@dataclass(frozen=True)
class Examples:
    """N crops and P different prompts, the first of which is empty.

    Attributes:
        images: `latents` and `control`, a row a crop.
        prompt: `(N,)`, each crop's row in `texts`.
        texts: The embeddings of the prompts, a row a prompt.
    """

    images: dict[str, torch.Tensor]
    prompt: torch.Tensor
    texts: dict[str, torch.Tensor]

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        texts = {_TEXT + name: rows for name, rows in self.texts.items()}
        with replacing(path) as temporary:
            tensors = {**self.images, **texts, _PROMPT: self.prompt}
            save_file({name: rows.contiguous() for name, rows in tensors.items()}, temporary)

    @classmethod
    def load(cls, path: Path) -> "Examples":
        """Read what `save` wrote."""
        tensors = load_file(path)
        prompt = tensors.pop(_PROMPT)
        texts = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_TEXT)}
        return cls(tensors, prompt, {k.removeprefix(_TEXT): rows for k, rows in texts.items()})

    def batch(
        self, config: FineTuneConfig, generator: torch.Generator, device: torch.device
    ) -> dict[str, torch.Tensor]:
        """Return random crops with their prompts, some of them empty."""
        picks = torch.randint(len(self.prompt), (config.batch_size,), generator=generator)
        dropped = torch.rand(config.batch_size, generator=generator) < config.prompt_dropout
        prompt = torch.where(dropped, _NO_PROMPT, self.prompt[picks])
        rows = {name: rows[picks] for name, rows in self.images.items()}
        rows |= {name: rows[prompt] for name, rows in self.texts.items()}
        return {
            name: tensor.to(device) if name == "control" else tensor.to(device).float()
            for name, tensor in rows.items()
        }


def make_examples(
    section: FitConfig,
    model: PretrainedModel,
    dataset: DetectionDataset,
    *,
    family: Family,
    hardware: Hardware,
) -> Examples:
    """Return the encoded crops of the train split.

    Raises:
        ConfigError: If the crops don't suit the images or the base.
        GenerationError: If the base can't be loaded.
    """
    if model.training is None:
        raise ValueError("there is nothing to train")
    crops = make_crops(dataset, model.training.crops, seed=section.seed)
    _check_size(crops, family)
    names = dataset.class_names
    prompts = [prompt_for(layout, names, section.prompt_template) for layout in crops.layouts]
    different = ["", *sorted(set(prompts) - {""})]
    dtype = hardware.dtype if hardware.device.type == "cuda" else torch.float32
    pipeline = load_encoders(family, model.model, model.revision, dtype).to(hardware.device)
    with torch.no_grad():
        images = _encode_crops(family, pipeline, crops, len(names))
        texts = _encode_prompts(family, pipeline, different)
    return Examples(images, torch.tensor([different.index(p) for p in prompts]), texts)


def _encode_crops(
    family: Family,
    pipeline: Any,  # noqa: ANN401
    crops: Crops,
    num_classes: int,
) -> dict[str, torch.Tensor]:
    latents, control = [], []
    for batch in _batches(len(crops), "latents"):
        images = torch.from_numpy(crops.images[batch]).permute(0, 3, 1, 2)
        latents.append(encode_images(pipeline, images.float() / 127.5 - 1).cpu())
        pictures = np.stack(
            [control_picture(layout, num_classes) for layout in crops.layouts[batch]]
        )
        control.append(family.encode_pictures(pipeline, torch.from_numpy(pictures)).cpu())
    return {"latents": torch.cat(latents), "control": torch.cat(control)}


def _encode_prompts(
    family: Family,
    pipeline: Any,  # noqa: ANN401
    prompts: list[str],
) -> dict[str, torch.Tensor]:
    parts = [
        family.encode_prompts(pipeline, prompts[batch])
        for batch in _batches(len(prompts), "prompts")
    ]
    return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}


def _batches(count: int, what: str) -> Iterator[slice]:
    for start in tqdm(range(0, count, _BATCH), desc=f"fit: {what}", unit="batch", disable=None):
        yield slice(start, start + _BATCH)


def _check_size(crops: Crops, family: Family) -> None:
    height, width = crops.images.shape[1:3]
    multiple = family.size_multiple
    if height % multiple or width % multiple:
        raise ConfigError(
            f"{family.title} takes sides that are multiples of {multiple}, the crops are "
            f"{width}x{height}; set fit.model.training.crops.size"
        )
