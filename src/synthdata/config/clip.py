"""CLIP models that score how well an image fits a text."""

from typing import Annotated, Literal

from pydantic import Field

from synthdata.config.base import PositiveFloat, PositiveInt, Section


class ClipTrainingConfig(Section):
    """A small CLIP of the data set's own objects, trained by `fit`: no download.

    The image half is EfficientNet-Lite0, the text half MiniLM; a projection of each is trained to
    match crops of objects and of background with their captions.

    Attributes:
        crop_size: Pixels that a crop is resized to.
        margin: Context on each side of a box, as a fraction of its longer side.
        crops_per_object: Crops of each object, all but the first jittered.
        num_background: Background crops an image.
        projection_dim: Length of the embeddings.
        steps: Optimizer steps.
        batch_size: Crops a step, each class and background as often.
        learning_rate: Peak of a one-cycle schedule.
    """

    crop_size: Annotated[int, Field(ge=32)] = 96
    margin: Annotated[float, Field(ge=0)] = 0.2
    crops_per_object: PositiveInt = 4
    num_background: PositiveInt = 48
    projection_dim: PositiveInt = 128
    steps: PositiveInt = 300
    batch_size: PositiveInt = 256
    learning_rate: PositiveFloat = 1e-3


class FittedClip(Section):
    """The CLIP that `fit` trained; `fit.clip` must be set."""

    kind: Literal["fitted"]


class PretrainedClip(Section):
    """A CLIP model of transformers (safetensors only).

    Attributes:
        model: Folder or hub id, such as `openai/clip-vit-base-patch32`.
        revision: Commit on the hub.
        prompt_template: Caption of a crop; `{class}` becomes the class name, or "background".
    """

    kind: Literal["pretrained"]
    model: str
    revision: str | None = None
    prompt_template: str = "a photo of a {class}"
    crop_size: Annotated[int, Field(ge=32)] = 224
    margin: Annotated[float, Field(ge=0)] = 0.2


ClipModel = Annotated[FittedClip | PretrainedClip, Field(discriminator="kind")]
