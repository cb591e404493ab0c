"""Stage `fit`: train the embedded pipeline on the train split, or name or tune a pretrained one.

Leaves `generator.json` (written last: a folder with it is complete) and, of a training,
`losses.csv` and the models: `pipeline/` in Stable Diffusion's own folder format for the embedded
model, `controlnet/` and `lora/` for a pretrained one; `clip/` where the config asks for it.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

import pandas as pd

from synthdata.config.fit import EmbeddedModel, FitConfig, PretrainedModel
from synthdata.errors import DatasetError
from synthdata.features.clip import fitted_clip_metrics
from synthdata.files import replacing
from synthdata.samples import DetectionDataset
from synthdata.training.card import CARD, GeneratorCard, read_card, write_card
from synthdata.training.grain import Grain
from synthdata.training.hardware import free_memory

LOSSES = "losses.csv"
_PIPELINE = "pipeline"
_CHECKPOINTS = "checkpoints"

logger = logging.getLogger(__name__)


def fit_model(section: FitConfig, dataset: DetectionDataset, out_dir: Path) -> dict[str, Any]:
    """Fit the image generator's model.

    A killed call goes on from its checkpoints and ends with the same weights as an
    undisturbed one; a call on a complete folder returns at once.

    Args:
        section: The model and its training.
        dataset: The train split, and nothing else.
        out_dir: Gets the model.

    Returns:
        Losses, timings and sizes, for `metrics.json`.

    Raises:
        DatasetError: If there is no train image.
        ConfigError: If the config doesn't suit the images or the base.
        GenerationError: If a pretrained part can't be loaded.
        TrainingError: If a loss isn't finite.
    """
    if not len(dataset):
        raise DatasetError("fit needs at least one train image, there is none; check prepare")
    if (out_dir / CARD).is_file():
        shutil.rmtree(out_dir / _CHECKPOINTS, ignore_errors=True)  # of a call killed at its end
        return read_card(out_dir).metrics
    # First, since it takes seconds and may find a package missing.
    clip = _fit_clip(section, dataset, out_dir)
    model = section.model
    match model:
        case PretrainedModel():
            card = _fit_pretrained(model, section, dataset, out_dir)
        case EmbeddedModel():
            card = _fit_embedded(model, section, dataset, out_dir)
        case _:
            assert_never(model)
    free_memory()
    if clip is not None:
        card = card.model_copy(update={"metrics": card.metrics | {"clip": clip}})
    write_card(out_dir, card)
    shutil.rmtree(out_dir / _CHECKPOINTS, ignore_errors=True)
    return card.metrics


def _fit_clip(
    section: FitConfig, dataset: DetectionDataset, out_dir: Path
) -> dict[str, Any] | None:
    """Train the CLIP that the config asks for, unless an earlier call has, and return metrics."""
    if section.clip is None:
        return None
    # Loads torch and the encoders, which a pretrained model's card doesn't need.
    from synthdata.training.clip import train_clip

    if fitted_clip_metrics(out_dir) is None:
        template = section.prompt_template
        train_clip(section.clip, dataset, prompt_template=template, seed=section.seed).save(out_dir)
    return fitted_clip_metrics(out_dir)


def _image_size(dataset: DetectionDataset) -> tuple[int, int]:
    first = dataset.samples[0]
    return first.width, first.height


def _fit_pretrained(
    model: PretrainedModel, section: FitConfig, dataset: DetectionDataset, out_dir: Path
) -> GeneratorCard:
    metrics: dict[str, Any] = {
        "kind": "pretrained", "model": model.model, "controlnet": model.controlnet,
    }  # fmt: skip
    trained_controlnet = lora = None
    if model.training is None:
        logger.info("nothing is trained: generate uses %s with %s", model.model, model.controlnet)
    else:
        # Loads diffusers and transformers, which the card doesn't need.
        from synthdata.training.finetune import CONTROLNET, LORA, finetune

        trained, record = finetune(section, model, dataset, out_dir)
        _write_losses(out_dir, {"finetune": record.losses})
        metrics |= trained
        trained_controlnet = CONTROLNET if model.training.train_controlnet else None
        lora = LORA if model.training.lora_rank is not None else None
    return GeneratorCard(
        kind="pretrained",
        pipeline=model.model,
        controlnet=model.controlnet or "",
        revision=model.revision,
        controlnet_revision=model.controlnet_revision,
        trained_controlnet=trained_controlnet,
        lora=lora,
        control="picture",
        image_size=_image_size(dataset),
        class_names=dataset.class_names,
        prompt_template=section.prompt_template,
        metrics=metrics,
    )


def _write_losses(out_dir: Path, losses: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    rows = [
        {"phase": phase, "step": step, "loss": loss}
        for phase, points in losses.items()
        for step, loss in points
    ]
    with replacing(out_dir / LOSSES) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _fit_embedded(
    model: EmbeddedModel, section: FitConfig, dataset: DetectionDataset, out_dir: Path
) -> GeneratorCard:
    # Loads diffusers and transformers, which a pretrained model's card doesn't need.
    from synthdata.training.embedded import train_pipeline

    metrics, records = train_pipeline(section, model, dataset, out_dir)
    _write_losses(out_dir, {phase: record.losses for phase, record in records.items()})
    return GeneratorCard(
        kind="embedded",
        pipeline=_PIPELINE,
        control="class_maps",
        grain=Grain.model_validate(metrics["grain"]),
        image_size=_image_size(dataset),
        class_names=dataset.class_names,
        prompt_template=section.prompt_template,
        metrics=metrics,
    )
