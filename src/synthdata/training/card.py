"""`generator.json`: what `fit` tells the generators about the model that it made or named."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from synthdata.config.base import Section
from synthdata.errors import GenerationError
from synthdata.files import read_json, write_json
from synthdata.training.grain import Grain

CARD = "generator.json"


class GeneratorCard(Section):
    """The model and what it must be given.

    Attributes:
        kind: `embedded` was trained from scratch; `pretrained` is a base, fine-tuned or not.
        pipeline: The pipeline's folder, relative to the card's, or a pretrained one's folder
            or hub id.
        controlnet: Folder or hub id of a pretrained ControlNet; empty where it is part of
            the pipeline.
        revision: Commit of a pretrained pipeline on the hub.
        controlnet_revision: Commit of a pretrained ControlNet on the hub.
        trained_controlnet: Folder of the ControlNet that `fit` trained, relative to the card's;
            it takes the place of `controlnet`.
        lora: Folder of the trained adapters, relative to the card's.
        control: `class_maps` takes `conditioning.control_map`, `picture` takes
            `conditioning.control_picture`.
        grain: What the autoencoder leaves out of train images; None for a pretrained model.
        image_size: (width, height) in pixels of the train images.
        class_names: Class `i` is `class_names[i]`.
        prompt_template: For `conditioning.prompt_for`.
        metrics: What `fit` measured.
    """

    kind: Literal["embedded", "pretrained"]
    pipeline: str
    controlnet: str = ""
    revision: str | None = None
    controlnet_revision: str | None = None
    trained_controlnet: str | None = None
    lora: str | None = None
    control: Literal["class_maps", "picture"]
    grain: Grain | None = None
    image_size: tuple[int, int]
    class_names: tuple[str, ...]
    prompt_template: str
    metrics: dict[str, Any]


def write_card(model_dir: Path, card: GeneratorCard) -> None:
    """Write the card; last of all, since a folder with it is complete."""
    write_json(model_dir / CARD, card.model_dump(mode="json"))


def read_card(model_dir: Path) -> GeneratorCard:
    """Return the card in `model_dir`.

    Raises:
        GenerationError: If there is none, or it isn't one.
    """
    path = model_dir / CARD
    if not path.is_file():
        raise GenerationError(f"{model_dir} must hold {CARD}, as `fit` leaves it; run fit first")
    try:
        return GeneratorCard.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise GenerationError(f"{path} isn't a generator card; run fit again: {error}") from error
