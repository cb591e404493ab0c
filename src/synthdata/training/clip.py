"""A small CLIP of the data set's own objects, for the filter `clip`: no download, seconds.

Image half EfficientNet-Lite0, text half MiniLM, both frozen; a projection of each is trained. Many
crops share a caption, so that all pairs with the same one are positives (Yang et al., "Unified
Contrastive Learning in Image-Text-Label Space", 2022), not a batch's diagonal only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from synthdata.conditioning import NO_OBJECTS
from synthdata.config.clip import ClipTrainingConfig
from synthdata.config.encoder import EfficientNetConfig
from synthdata.extras import needing_features
from synthdata.features import build_encoder
from synthdata.features.clip import ClipProjections
from synthdata.features.crops import CropSettings
from synthdata.samples import DetectionDataset
from synthdata.seeding import derive_seed
from synthdata.training.clip_examples import ClipExamples, make_clip_examples

_WEIGHT_DECAY = 0.2
# Noise added to features, in their standard deviation: features are many and crops few.
_FEATURE_NOISE = 1.0
_LOGIT_SCALE = 10.0


class _Projections(nn.Module):
    def __init__(self, image_dim: int, text_dim: int, dim: int) -> None:
        super().__init__()
        self.image = nn.Linear(image_dim, dim)
        self.text = nn.Linear(text_dim, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(_LOGIT_SCALE).log())

    def logits(self, features: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Return `(N, K)` scaled cosines."""
        image, text = F.normalize(self.image(features)), F.normalize(self.text(texts))
        logits: torch.Tensor = self.log_scale.exp() * image @ text.T
        return logits


def train_clip(
    config: ClipTrainingConfig, dataset: DetectionDataset, *, prompt_template: str, seed: int
) -> ClipProjections:
    """Train the projections on the train split's crops.

    Args:
        config: Sizes and steps.
        dataset: The train split.
        prompt_template: `{objects}` becomes a class name, or "no objects" for background.
        seed: The run's seed.

    Raises:
        ConfigError: If the encoders' packages aren't installed.
        DatasetError: If there is no object.
    """
    with needing_features("fit.clip"):
        from synthdata.features.minilm import MiniLM
    encoder = build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))
    examples = make_clip_examples(dataset, config, encoder=encoder, seed=seed)
    captions = [
        prompt_template.replace("{objects}", name) for name in (*dataset.class_names, NO_OBJECTS)
    ]
    texts = MiniLM().encode_texts(captions)
    # One deviation for all: scaled each by its own, features that are nearly always 0 would shout.
    mean, std = examples.features.mean(axis=0), examples.features.std(axis=0).mean()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights", "clip"))
        projections = _Projections(encoder.dim, texts.shape[1], config.projection_dim)
    standardised = ClipExamples((examples.features - mean) / std, examples.caption)
    loss, accuracy = _optimise(projections, standardised, torch.from_numpy(texts), config, seed)
    weight = projections.image.weight.detach().numpy().T
    bias = projections.image.bias.detach().numpy()
    # The standardisation becomes part of the projection.
    folded = np.vstack([weight / std, bias - mean / std @ weight]).astype(np.float32)
    counts = np.bincount(examples.caption, minlength=len(captions)).tolist()
    return ClipProjections(
        class_names=dataset.class_names,
        captions=tuple(captions),
        crop=CropSettings(config.crop_size, config.margin),
        logit_scale=projections.log_scale.exp().item(),
        image_projection=folded,
        text_projection=projections.text.weight.detach().numpy().T,
        metrics={
            "crops": dict(zip([*dataset.class_names, NO_OBJECTS], counts, strict=True)),
            "loss": round(loss, 5),
            "train_accuracy": round(accuracy, 4),
        },
    )


def _optimise(
    projections: _Projections,
    examples: ClipExamples,
    texts: torch.Tensor,
    config: ClipTrainingConfig,
    seed: int,
) -> tuple[float, float]:
    """Train, and return the last loss and the accuracy on all crops."""
    optimizer = torch.optim.AdamW(
        projections.parameters(), lr=config.learning_rate, weight_decay=_WEIGHT_DECAY
    )
    schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=max(config.steps, 2))
    features, caption = torch.from_numpy(examples.features), torch.from_numpy(examples.caption)
    members = [np.flatnonzero(examples.caption == one) for one in range(len(texts))]
    rng = np.random.default_rng(derive_seed(seed, "clip-batches"))
    generator = torch.Generator().manual_seed(derive_seed(seed, "clip-noise"))
    loss = torch.zeros(())
    for _ in range(config.steps):
        picks = torch.from_numpy(_balanced(members, config.batch_size, rng))
        noise = _FEATURE_NOISE * torch.randn(len(picks), features.shape[1], generator=generator)
        logits = projections.logits(features[picks] + noise, texts)
        loss = contrastive_loss(logits, caption[picks])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        hits = projections.logits(features, texts).argmax(dim=1) == caption
        accuracy = np.mean([hits[one].float().mean().item() for one in members if len(one)])
    return loss.item(), float(accuracy)


def _balanced(members: Sequence[Any], number: int, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Return rows of which each caption has as many, give or take one."""
    present = [rows for rows in members if len(rows)]
    return np.array([rng.choice(present[i % len(present)]) for i in range(number)])


def contrastive_loss(logits: torch.Tensor, caption: torch.Tensor) -> torch.Tensor:
    """Return the mean of the losses from images to texts and from texts to images.

    Args:
        logits: `(N, K)` of N images and K texts.
        caption: `(N,)` which text each image has.
    """
    to_text = F.cross_entropy(logits, caption)
    own = F.one_hot(caption, logits.shape[1]).bool()
    shares = logits.log_softmax(dim=0).masked_fill(~own, 0).sum(dim=0) / own.sum(dim=0).clamp_min(1)
    to_image = -shares[own.any(dim=0)].mean()
    return (to_text + to_image) / 2
