"""CLIP and DINOv2 of transformers, from a folder or the hub: safetensors only."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel, Dinov2Model

from synthdata.boxes import FloatArray
from synthdata.config.clip import PretrainedClip
from synthdata.config.encoder import ClipConfig, Dinov2Config
from synthdata.errors import ConfigError
from synthdata.features.batches import encode_in_batches
from synthdata.samples import UInt8Array

_TEXTS_AT_ONCE: Final = 256


class PretrainedEncoder:
    """An image encoder of transformers, on the GPU where there is one.

    Attributes:
        model: Of transformers.

    Args:
        config: Which model.
        model_class: Of transformers.
        features: Gives `(B, dim)` from the model and its pixel values.
        dim: Gives the length of a vector from the model's configuration.

    Raises:
        ConfigError: If it can't be loaded.
    """

    def __init__(
        self,
        config: ClipConfig | Dinov2Config,
        model_class: Any,  # noqa: ANN401  # transformers has no types
        *,
        features: Callable[[Any, torch.Tensor], torch.Tensor],
        dim: Callable[[Any], int],
    ) -> None:
        source: Final = {"pretrained_model_name_or_path": config.model, "revision": config.revision}
        try:
            self._processor = AutoImageProcessor.from_pretrained(**source)
            self.model = model_class.from_pretrained(**source, use_safetensors=True).eval()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"encoder {config.kind} {config.model!r} can't be loaded; expected a folder or hub "
                f"id of a {model_class.__name__} with safetensors weights: {error}"
            ) from error
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self._features = features
        # Reports name no folder of a machine.
        known_as = Path(config.model).name if Path(config.model).is_dir() else config.model
        self.name = f"{config.kind} {known_as}"
        self.dim = dim(self.model.config)
        self.weights_sha256 = _digest(self.model, self._processor)

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        """Return `(N, dim)` vectors of N `(S, S, 3)` uint8 RGB images of one size."""
        return encode_in_batches(images, self._forward, dim=self.dim)

    def _forward(self, batch: UInt8Array) -> torch.Tensor:
        pixels = self._processor(images=list(batch), return_tensors="pt")["pixel_values"]
        return self._features(self.model, pixels.to(self.model.device))


def clip_encoder(config: ClipConfig) -> PretrainedEncoder:
    """Return the image half of CLIP: its projected image embeddings."""
    return PretrainedEncoder(
        config,
        CLIPModel,
        features=lambda model, pixels: model.get_image_features(pixels).pooler_output,
        dim=lambda model_config: int(model_config.projection_dim),
    )


def clip_text_features(
    encoder: PretrainedEncoder, config: PretrainedClip, texts: Sequence[str]
) -> tuple[FloatArray, float]:
    """Return `(N, dim)` text embeddings of the encoder's CLIP, and its logit scale.

    Raises:
        ConfigError: If there is no tokenizer.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.model, revision=config.revision)
    except (OSError, ValueError) as error:
        raise ConfigError(f"CLIP {config.model!r} has no tokenizer that loads: {error}") from error
    model = encoder.model
    features = np.zeros((len(texts), encoder.dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[start : start + _TEXTS_AT_ONCE])
            tokens = tokenizer(part, padding=True, truncation=True, return_tensors="pt")
            found = model.get_text_features(**tokens.to(model.device)).pooler_output
            features[start : start + len(part)] = found.float().cpu().numpy()
        scale = float(model.logit_scale.exp())
    return features, scale


def dinov2_encoder(config: Dinov2Config) -> PretrainedEncoder:
    """Return DINOv2: its normalised class token."""
    return PretrainedEncoder(
        config,
        Dinov2Model,
        features=lambda model, pixels: model(pixels).pooler_output,
        dim=lambda model_config: int(model_config.hidden_size),
    )


def _digest(model: Any, processor: Any) -> str:  # noqa: ANN401
    """Return one digest for a folder and for the hub, however the weights are cut into files.

    How images are resized and scaled is part of what features are.
    """
    digest = hashlib.sha256(processor.to_json_string().encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
