"""How far generated images are from real ones, beside how far real ones are from each other.

By features, of whole images and of each class's crops; and by boxes. Every metric stands with its
interval and with the same metric between two real halves, see `metrics.half_samples`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from synthdata.config.encoder import ClipConfig, EncoderConfig, InceptionConfig
from synthdata.config.fidelity import FidelityConfig
from synthdata.features import build_encoder
from synthdata.features.base import ImageEncoder
from synthdata.features.boxes import box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.clip import ClipScorer
from synthdata.features.crops import CropSettings
from synthdata.features.images import image_features
from synthdata.metrics.box_statistics import box_values
from synthdata.metrics.clip import clip_score
from synthdata.metrics.half_samples import Items, Measure, Resampling, estimate
from synthdata.metrics.measures import (
    BOXES,
    CLIP_SCORE,
    CMMD,
    KID,
    fid_measure,
    inception_measure,
    manifold_measure,
)
from synthdata.samples import DetectionDataset, Layout

_Pair = tuple[DetectionDataset, DetectionDataset]  # real, generated


@dataclass(frozen=True)
class _Comparison:
    """Real and generated items, and what is measured between them.

    Attributes:
        of: `images`, `crops` or `boxes`.
        class_name: Whose; None for all.
        encoder: Whose features; None where it isn't features.
    """

    of: str
    class_name: str | None
    encoder: str | None
    measures: Sequence[Measure]
    real: Items
    generated: Items


def measure_fidelity(  # noqa: PLR0913  # two sets, and all that looks at them
    config: FidelityConfig,
    *,
    real: DetectionDataset,
    generated: DetectionDataset,
    layouts: Sequence[Layout],
    clip: ClipScorer | None,
    seed: int,
    work_dir: Path,
) -> dict[str, Any]:
    """Return the metrics as rows.

    Args:
        config: Encoders and resampling.
        real: Real images that the generator hasn't seen.
        generated: Images made for the same layouts.
        layouts: New ones, whose boxes are compared with those of `real`.
        clip: The CLIP of `config.clip`.
        seed: Of the half-samples.
        work_dir: Gets the crops' features, for a killed run to go on from.

    Returns:
        `encoders`, each with its `name` and `weights_sha256`, the intervals' `confidence`, and
        `rows`, each with `of` (`images`, `crops` or `boxes`), `class`, `encoder`, `metric`,
        `value`, `low`, `high`, `halves`, `num` and `reason` (see `half_samples.Estimate`).

    Raises:
        ConfigError: If an encoder can't be built.
    """
    resampling = Resampling(seed, num_draws=config.num_draws, confidence=config.confidence)
    pair = (real, generated)
    encoders = [build_encoder(one) for one in config.encoders]
    comparisons = list(_by_boxes(real, layouts))
    for stated, encoder in zip(config.encoders, encoders, strict=True):
        comparisons += _by_features(config, stated, encoder, pair, work_dir)
    known = [(encoder.name, encoder) for encoder in encoders]
    if clip is not None:
        comparisons += _by_clip(clip, pair, work_dir)
        known.append((clip.name, clip.encoder))
    rows = [
        {
            "of": one.of, "class": one.class_name, "encoder": one.encoder, "metric": name,
            **asdict(found),
        }
        for one in tqdm(comparisons, desc="score: fidelity", unit="comparison", disable=None)
        for measure in one.measures
        for name, found in estimate(
            measure, real=one.real, generated=one.generated, resampling=resampling
        ).items()
    ]  # fmt: skip
    return {
        "encoders": [
            {"name": name, "weights_sha256": encoder.weights_sha256} for name, encoder in known
        ],
        "confidence": config.confidence,
        "rows": rows,
    }


def _by_boxes(real: DetectionDataset, layouts: Sequence[Layout]) -> Iterator[_Comparison]:
    for class_id, name in enumerate(real.class_names):
        # An object array: images have different numbers of boxes.
        values = (np.array(box_values(part, class_id=class_id)) for part in (real, layouts))
        yield _Comparison("boxes", name, None, [BOXES], *map(Items.independent, values))


def _by_features(
    config: FidelityConfig,
    stated: EncoderConfig,
    encoder: ImageEncoder,
    pair: _Pair,
    work_dir: Path,
) -> Iterator[_Comparison]:
    measures = [fid_measure(encoder.dim), KID, manifold_measure(config.num_neighbors)]
    if isinstance(stated, ClipConfig):
        measures.append(CMMD)
    yield _of_images(encoder, measures, pair, config.image_size)
    if isinstance(stated, InceptionConfig):
        # As heavy as torch; `build_encoder` has found it installed.
        from synthdata.features.inception import Inception

        classifier = Inception(stated, layer="logits_unbiased")
        yield _of_images(classifier, [inception_measure(classifier.dim)], pair, config.image_size)
    crops = _crops(encoder, CropSettings(config.crop_size, config.margin), pair, work_dir)
    for class_id, name in enumerate(pair[0].class_names):
        yield _Comparison("crops", name, encoder.name, measures, *(one[class_id] for one in crops))


def _by_clip(clip: ClipScorer, pair: _Pair, work_dir: Path) -> Iterator[_Comparison]:
    crops = _crops(clip.encoder, clip.crop, pair, work_dir)
    for class_id, name in enumerate(pair[0].class_names):
        embedded = [Items(clip.embed(one[class_id].values), one[class_id].unit) for one in crops]
        yield _Comparison("crops", name, clip.name, [CMMD], *embedded)
        caption = clip.captions[class_id, None]
        scores = [
            Items(
                clip_score(
                    image_features=one.values,
                    text_features=np.repeat(caption, len(one), axis=0),
                ),
                one.unit,
            )
            for one in embedded
        ]
        yield _Comparison("crops", name, clip.name, [CLIP_SCORE], *scores)


def _of_images(
    encoder: ImageEncoder, measures: Sequence[Measure], pair: _Pair, size: int
) -> _Comparison:
    features = (image_features(one, encoder=encoder, size=size) for one in pair)
    return _Comparison("images", None, encoder.name, measures, *map(Items.independent, features))


def _crops(
    encoder: ImageEncoder, crop: CropSettings, pair: _Pair, work_dir: Path
) -> list[list[Items]]:
    """Return, for real and for generated images, each class's crops; an image's belong together."""
    cache = FeatureCache(work_dir, encoder, crop)
    found = [box_features(one, encoder=encoder, crop=crop, cache=cache) for one in pair]
    return [
        [
            Items(chosen.features, chosen.image)
            for chosen in (
                crops.select(crops.class_id == class_id)
                for class_id in range(len(pair[0].class_names))
            )
        ]
        for crops in found
    ]
