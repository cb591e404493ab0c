"""Stage `fit`: train the embedded pipeline on the train split, or name a pretrained one.

Leaves `generator.json` (written last: a folder with it is complete), `losses.csv` and, for
the embedded model, `pipeline/` in Stable Diffusion's own folder format.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, assert_never

import pandas as pd

from synthdata.config.fit import EmbeddedModel, FitConfig, PretrainedModel
from synthdata.errors import DatasetError
from synthdata.files import replacing
from synthdata.samples import DetectionDataset
from synthdata.training.card import CARD, GeneratorCard, read_card, write_card

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
        ConfigError: If the config doesn't suit the images.
        TrainingError: If a loss isn't finite.
    """
    if not len(dataset):
        raise DatasetError("fit needs at least one train image, there is none; check prepare")
    if (out_dir / CARD).is_file():
        return read_card(out_dir).metrics
    model = section.model
    match model:
        case PretrainedModel():
            card = _pretrained_card(model, section, dataset)
        case EmbeddedModel():
            card = _fit_embedded(model, section, dataset, out_dir)
        case _:
            assert_never(model)
    write_card(out_dir, card)
    shutil.rmtree(out_dir / _CHECKPOINTS, ignore_errors=True)
    return card.metrics


def _image_size(dataset: DetectionDataset) -> tuple[int, int]:
    first = dataset.samples[0]
    return first.width, first.height


def _pretrained_card(
    model: PretrainedModel, section: FitConfig, dataset: DetectionDataset
) -> GeneratorCard:
    logger.info("nothing is trained: generate uses %s with %s", model.model, model.controlnet)
    return GeneratorCard(
        kind="pretrained",
        pipeline=model.model,
        controlnet=model.controlnet,
        revision=model.revision,
        controlnet_revision=model.controlnet_revision,
        control="picture",
        image_size=_image_size(dataset),
        class_names=dataset.class_names,
        prompt_template=section.prompt_template,
        metrics={"kind": "pretrained", "model": model.model, "controlnet": model.controlnet},
    )


def _fit_embedded(
    model: EmbeddedModel, section: FitConfig, dataset: DetectionDataset, out_dir: Path
) -> GeneratorCard:
    # Loads diffusers and transformers, which a pretrained model's card doesn't need.
    from synthdata.training.embedded import train_pipeline

    metrics, records = train_pipeline(section, model, dataset, out_dir)
    rows = [
        {"phase": phase, "step": step, "loss": loss}
        for phase, record in records.items()
        for step, loss in record.losses
    ]
    with replacing(out_dir / LOSSES) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return GeneratorCard(
        kind="embedded",
        pipeline=_PIPELINE,
        control="class_maps",
        image_size=_image_size(dataset),
        class_names=dataset.class_names,
        prompt_template=section.prompt_template,
        metrics=metrics,
    )
