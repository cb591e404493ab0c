"""Which caption a crop fits: CLIP over the classes of a data set and background.

Whole images say little about their boxes; crops do (see docs/adr). Two kinds share one form: an
image encoder, a projection of its features, and the embeddings of the captions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, assert_never

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.config.clip import ClipModel, FittedClip, PretrainedClip
from synthdata.config.encoder import ClipConfig
from synthdata.errors import GenerationError
from synthdata.extras import needing_features
from synthdata.features.base import ImageEncoder
from synthdata.features.crops import CropSettings
from synthdata.files import read_json, replacing_dir, sha256_file, sha256_json, write_json

FOLDER: Final = "clip"
_CARD: Final = "clip.json"
_WEIGHTS: Final = "projections.safetensors"
BACKGROUND: Final = "background"


@dataclass(frozen=True)
class ClipScorer:
    """A CLIP that is asked about the classes of one data set.

    Attributes:
        name: What it is called in metrics.
        encoder: Turns crops into features.
        crop: How crops are cut.
        image_projection: `(D + 1, E)` from features to embeddings, the last row added; None
            where features are embeddings.
        captions: `(K + 1, E)` of length 1: the classes' captions, then background's.
        logit_scale: What cosines are multiplied by.
        known: `(K,)` whether it can tell a class: a fitted one saw no crop of an absent class.
        weights_sha256: Of the encoder, and of the projections where there are some.
        embed_texts: Embeds N texts, `(N, E)`; None where it was trained on captions of crops
            alone, so that it can't tell what whole images' prompts say.
    """

    name: str
    encoder: ImageEncoder
    crop: CropSettings
    image_projection: FloatArray | None
    captions: FloatArray
    logit_scale: float
    known: npt.NDArray[np.bool_]
    weights_sha256: str
    embed_texts: Callable[[Sequence[str]], FloatArray] | None

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return `(N, K + 1)`: how well each of N crops fits each caption, against the others.

        Args:
            features: `(N, D)` of the encoder.
        """
        logits = self.logit_scale * self.embed(features) @ self.captions.T
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: FloatArray = shifted / shifted.sum(axis=1, keepdims=True)
        return result

    def embed(self, features: FloatArray) -> FloatArray:
        """Return the `(N, E)` embeddings of N crops, of length 1."""
        embedded = features
        if self.image_projection is not None:
            embedded = features @ self.image_projection[:-1] + self.image_projection[-1]
        norm = np.linalg.norm(embedded, axis=1, keepdims=True)
        result: FloatArray = embedded / np.maximum(norm, 1e-12)
        return result


@dataclass(frozen=True)
class ClipProjections:
    """What `fit` trains, and saves, of its CLIP.

    Attributes:
        class_names: Of the data set.
        captions: K + 1 texts, background's last.
        crop: How crops are cut.
        logit_scale: What cosines are multiplied by.
        image_projection: `(D + 1, E)`, see `ClipScorer`.
        text_projection: `(T, E)` from sentence vectors to embeddings.
        metrics: What the training measured.
    """

    class_names: tuple[str, ...]
    captions: tuple[str, ...]
    crop: CropSettings
    logit_scale: float
    image_projection: FloatArray
    text_projection: FloatArray
    metrics: dict[str, Any]

    def save(self, model_dir: Path) -> None:
        """Write `model_dir/clip`, whole or not at all."""
        # An optional package, here as below: this module is imported without it too.
        from safetensors.numpy import save_file

        with replacing_dir(model_dir / FOLDER) as folder:
            folder.mkdir(parents=True, exist_ok=True)
            # safetensors writes memory as it lies: another order would come back scrambled.
            tensors = {
                "image_projection": np.ascontiguousarray(self.image_projection),
                "text_projection": np.ascontiguousarray(self.text_projection),
            }
            save_file(tensors, folder / _WEIGHTS)
            card = {
                "class_names": self.class_names,
                "captions": self.captions,
                "crop_size": self.crop.size,
                "margin": self.crop.margin,
                "logit_scale": self.logit_scale,
                "metrics": self.metrics,
            }
            write_json(folder / _CARD, card)


def fitted_clip_metrics(model_dir: Path) -> dict[str, Any] | None:
    """Return what the training of the CLIP in `model_dir` measured, or None where there is none."""
    path = model_dir / FOLDER / _CARD
    metrics: dict[str, Any] | None = read_json(path)["metrics"] if path.is_file() else None
    return metrics


def load_clip(
    model: ClipModel, model_dir: Path | None, class_names: Sequence[str], *, asked_by: str
) -> ClipScorer:
    """Return the CLIP that a config names.

    Args:
        model: Which.
        model_dir: The folder of stage `fit`; None where it wasn't run.
        class_names: Of the data set.
        asked_by: Part of the config that names it, for messages.

    Raises:
        GenerationError: As `load_fitted_clip`.
        ConfigError: If it can't be loaded, or its packages aren't installed.
    """
    match model:
        case FittedClip():
            return load_fitted_clip(model_dir, class_names, asked_by=asked_by)
        case PretrainedClip():
            return load_pretrained_clip(model, class_names, asked_by=asked_by)
        case _:
            assert_never(model)


def load_fitted_clip(
    model_dir: Path | None, class_names: Sequence[str], *, asked_by: str = "clip"
) -> ClipScorer:
    """Return the CLIP that `fit` trained.

    Raises:
        GenerationError: If `fit` trained none, or for other classes.
        ConfigError: If its packages aren't installed.
    """
    folder = (model_dir or Path()) / FOLDER
    if model_dir is None or not (folder / _CARD).is_file():
        raise GenerationError(
            f"{asked_by} needs the CLIP that fit trains, there is none in {model_dir}; set "
            "fit.clip and run fit again, or name a pretrained one there"
        )
    card = read_json(folder / _CARD)
    if card["class_names"] != list(class_names):
        raise GenerationError(
            f"the CLIP in {model_dir} was fitted for classes {card['class_names']}, the data set "
            f"has {list(class_names)}; run fit again"
        )
    with needing_features(asked_by):
        from safetensors.numpy import load_file

        from synthdata.features.efficientnet import EfficientNetLite0
        from synthdata.features.minilm import MiniLM
    tensors = load_file(folder / _WEIGHTS)
    encoder, texts = EfficientNetLite0(), MiniLM()
    return ClipScorer(
        name=f"CLIP of {encoder.name} and {texts.name}, fitted",
        encoder=encoder,
        crop=CropSettings(card["crop_size"], card["margin"]),
        image_projection=tensors["image_projection"],
        captions=_normalised(texts.encode_texts(card["captions"]) @ tensors["text_projection"]),
        logit_scale=card["logit_scale"],
        known=np.array([card["metrics"]["crops"][name] > 0 for name in class_names], bool),
        weights_sha256=sha256_json([encoder.weights_sha256, sha256_file(folder / _WEIGHTS)]),
        embed_texts=None,
    )


def load_pretrained_clip(
    config: PretrainedClip, class_names: Sequence[str], *, asked_by: str = "clip"
) -> ClipScorer:
    """Return a CLIP of transformers that is asked about the classes.

    Raises:
        ConfigError: If it can't be loaded, or its packages aren't installed.
    """
    with needing_features(asked_by):
        from synthdata.features.pretrained import clip_encoder, clip_text_features
    encoder = clip_encoder(ClipConfig(kind="clip", model=config.model, revision=config.revision))
    names = [*class_names, BACKGROUND]
    texts = [config.prompt_template.replace("{class}", name) for name in names]
    text_features, logit_scale = clip_text_features(encoder, config, texts)
    return ClipScorer(
        name=encoder.name,
        encoder=encoder,
        crop=CropSettings(config.crop_size, config.margin),
        image_projection=None,
        captions=_normalised(text_features),
        logit_scale=logit_scale,
        known=np.ones(len(class_names), bool),
        weights_sha256=encoder.weights_sha256,
        embed_texts=lambda texts: clip_text_features(encoder, config, texts)[0],
    )


def _normalised(vectors: FloatArray) -> FloatArray:
    result: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result
