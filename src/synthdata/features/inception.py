"""The Inception v3 of FID, as torch-fidelity has it."""

import pickle
from collections.abc import Sequence
from typing import Any, Final, Literal

import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from synthdata.boxes import FloatArray
from synthdata.config.encoder import InceptionConfig
from synthdata.errors import ConfigError
from synthdata.features.batches import encode_in_batches
from synthdata.files import sha256_file
from synthdata.samples import UInt8Array

Layer = Literal["2048", "logits_unbiased"]

_DIMS: Final[dict[Layer, int]] = {"2048": 2048, "logits_unbiased": 1008}


class Inception:
    """Pooled features of the last block, 2,048 a vector, or the logits of its 1,008 classes.

    Args:
        config: The weights.
        layer: As torch-fidelity calls it: the logits are those of the Inception Score.

    Raises:
        ConfigError: If they can't be loaded, or are more than tensors.
    """

    name: Final = "inception-v3"

    def __init__(self, config: InceptionConfig, *, layer: Layer = "2048") -> None:
        self.dim: Final = _DIMS[layer]
        try:
            # torch-fidelity unpickles whatever it is given: code in it would run.
            torch.load(config.weights, map_location="cpu", weights_only=True)
            network: Any = FeatureExtractorInceptionV3(
                self.name, [layer], feature_extractor_weights_path=str(config.weights)
            )
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise ConfigError(
                f"encoder inception: {config.weights} can't be loaded; expected torch-fidelity's "
                f"weights-inception-2015-12-05-6726825d.pth: {error}"
            ) from error
        self._network = network.to("cuda" if torch.cuda.is_available() else "cpu")
        self.weights_sha256 = sha256_file(config.weights)

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        """Return `(N, dim)` vectors of N `(S, S, 3)` uint8 RGB images of one size."""
        return encode_in_batches(images, self._forward, dim=self.dim)

    def _forward(self, batch: UInt8Array) -> torch.Tensor:
        device = next(self._network.parameters()).device
        features: torch.Tensor = self._network(
            torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
        )[0]
        return features
