"""How far generated images are from real ones, beside how far real ones are from each other.

By features, of whole images and of each class's crops; and by boxes. Every metric stands with its
interval and with the same metric between two real halves, see `metrics.half_samples`.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from synthdata.boxes import FloatArray
from synthdata.config.encoder import ClipConfig, EncoderConfig, InceptionConfig
from synthdata.config.fidelity import FidelityConfig
from synthdata.errors import ConfigError
from synthdata.extras import needing_features
from synthdata.features import build_encoder
from synthdata.features.base import ImageEncoder
from synthdata.features.boxes import box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.clip import ClipScorer, load_clip
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
from synthdata.samples import DetectionDataset, Layout, Sample

_Pair = tuple[DetectionDataset, DetectionDataset]  # real, generated


@dataclass(frozen=True)
class _Comparison:
    """Items, and what is measured between them.

    Attributes:
        of: `images`, `crops` or `boxes`.
        class_name: Whose; None for all.
        encoder: Whose features; None where it isn't features.
        measures: What is measured.
        items: Real and generated ones.
        paired: Whether the generated items were made for the layouts of the real ones.
    """

    of: str
    class_name: str | None
    encoder: str | None
    measures: Sequence[Measure]
    items: tuple[Items, Items]
    paired: bool = True


@dataclass(frozen=True)
class FidelityTools:
    """What looks at the images.

    Attributes:
        config: How.
        encoders: Those of the config, in its order.
        clip: The CLIP of the config.
    """

    config: FidelityConfig
    encoders: tuple[ImageEncoder, ...]
    clip: ClipScorer | None


def load_tools(
    config: FidelityConfig, model_dir: Path, class_names: Sequence[str]
) -> FidelityTools:
    """Return the encoders, before anything is computed that would be lost without them.

    Args:
        config: Which.
        model_dir: The folder of stage `fit`, for the CLIP in it.
        class_names: Of the data set.

    Raises:
        ConfigError: If an encoder can't be built, two have one name, or a package isn't
            installed.
        GenerationError: If the CLIP that `fit` trains is asked for and isn't there.
    """
    with needing_features("score.fidelity"):
        importlib.import_module("torch_fidelity")
    clip = None
    if config.clip is not None:
        clip = load_clip(config.clip, model_dir, class_names, asked_by="score.fidelity.clip")
    encoders = tuple(map(build_encoder, config.encoders))
    looks = [(encoder.name, encoder.weights_sha256) for encoder in encoders]
    if clip is not None and (clip.name, clip.weights_sha256) not in looks:
        looks.append((clip.name, clip.weights_sha256))
    names = [name for name, _ in looks]
    if len(set(names)) != len(names):
        raise ConfigError(
            f"score.fidelity: reports couldn't tell {names} apart; name one of a kind and "
            "name, or call their folders differently"
        )
    return FidelityTools(config, encoders, clip)


def measure_fidelity(
    tools: FidelityTools,
    *,
    real: DetectionDataset,
    generated: DetectionDataset,
    layouts: Sequence[Sample | Layout],
    seed: int,
    work_dir: Path,
) -> dict[str, Any]:
    """Return the metrics as rows.

    Args:
        tools: Encoders and resampling.
        real: Real images that the generator hasn't seen.
        generated: An image for the layout of each real one, in their order.
        layouts: New ones, whose boxes are compared with those of `real`.
        seed: Of the half-samples.
        work_dir: Gets the crops' features, for a killed run to go on from.

    Returns:
        `encoders`, each with its `name` and `weights_sha256`, the intervals' `confidence`, and
        `rows`, each with `of` (`images`, `crops` or `boxes`), `class`, `encoder`, `metric`,
        `value`, `low`, `high`, `halves`, `differs`, `num` and `reason` (see
        `half_samples.Estimate`).
    """
    config, pair = tools.config, (real, generated)
    resampling = Resampling(seed, num_draws=config.num_draws, confidence=config.confidence)
    comparisons = list(_by_boxes(real, layouts))
    for stated, encoder in zip(config.encoders, tools.encoders, strict=True):
        comparisons += _by_features(config, stated, encoder, pair, work_dir)
    known = {encoder.name: encoder.weights_sha256 for encoder in tools.encoders}
    if tools.clip is not None:
        measured = tools.clip.name in known
        comparisons += _by_clip(config, tools.clip, pair, work_dir, with_cmmd=not measured)
        known[tools.clip.name] = tools.clip.weights_sha256
    rows = [
        {
            "of": one.of, "class": one.class_name, "encoder": one.encoder, "metric": name,
            **asdict(found),
        }
        for one in tqdm(comparisons, desc="score: fidelity", unit="comparison", disable=None)
        for measure in one.measures
        for name, found in estimate(
            measure,
            real=one.items[0],
            generated=one.items[1],
            resampling=resampling,
            paired=one.paired,
        ).items()
    ]  # fmt: skip
    return {
        "encoders": [{"name": name, "weights_sha256": digest} for name, digest in known.items()],
        "confidence": config.confidence,
        "rows": rows,
    }


def _by_boxes(real: DetectionDataset, layouts: Sequence[Sample | Layout]) -> Iterator[_Comparison]:
    for class_id, name in enumerate(real.class_names):
        # Object arrays: images have different numbers of boxes.
        a, b = (np.array(box_values(part, class_id=class_id)) for part in (real, layouts))
        items = Items.independent(a), Items.independent(b)
        yield _Comparison("boxes", name, None, [BOXES], items, paired=False)


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
    yield _of_images(encoder, measures, pair, config.image_size, work_dir)
    if isinstance(stated, InceptionConfig):
        # As heavy as torch; `build_encoder` has found it installed.
        from synthdata.features.inception import Inception

        classifier = Inception(stated, layer="logits_unbiased")
        measure = inception_measure(classifier.dim)
        yield _of_images(classifier, [measure], pair, config.image_size, work_dir)
    real, generated = _crops(encoder, CropSettings(config.crop_size, config.margin), pair, work_dir)
    for name in pair[0].class_names:
        yield _Comparison("crops", name, encoder.name, measures, (real[name], generated[name]))


def _by_clip(
    config: FidelityConfig, clip: ClipScorer, pair: _Pair, work_dir: Path, *, with_cmmd: bool
) -> Iterator[_Comparison]:
    if clip.embed_texts is not None:
        # A real image's prompt is that of its layout, for which the generated one was made.
        prompts = clip.embed_texts([sample.prompt for sample in pair[1]])
        a, b = (
            Items.independent(
                clip.embed(
                    image_features(
                        one, encoder=clip.encoder, size=config.image_size, cache_dir=work_dir
                    )
                )
            )
            for one in pair
        )
        if with_cmmd:
            yield _Comparison("images", None, clip.name, [CMMD], (a, b))
        scores = _clip_scores(a, prompts), _clip_scores(b, prompts)
        yield _Comparison("images", None, clip.name, [CLIP_SCORE], scores)
    real, generated = _crops(clip.encoder, clip.crop, pair, work_dir)
    classes = zip(pair[0].class_names, clip.captions, clip.known, strict=False)  # and background
    for name, caption, is_known in classes:
        a, b = (Items(clip.embed(one[name].values), one[name].unit) for one in (real, generated))
        if with_cmmd:
            yield _Comparison("crops", name, clip.name, [CMMD], (a, b))
        if is_known:
            scores = _clip_scores(a, caption), _clip_scores(b, caption)
            yield _Comparison("crops", name, clip.name, [CLIP_SCORE], scores)


def _clip_scores(embedded: Items, texts: FloatArray) -> Items:
    """Return each item's score against its row of texts, or against the one text."""
    texts = np.broadcast_to(texts, embedded.values.shape)
    return Items(clip_score(image_features=embedded.values, text_features=texts), embedded.unit)


def _of_images(
    encoder: ImageEncoder, measures: Sequence[Measure], pair: _Pair, size: int, work_dir: Path
) -> _Comparison:
    real, generated = (
        Items.independent(image_features(one, encoder=encoder, size=size, cache_dir=work_dir))
        for one in pair
    )
    return _Comparison("images", None, encoder.name, measures, (real, generated))


def _crops(
    encoder: ImageEncoder, crop: CropSettings, pair: _Pair, work_dir: Path
) -> Iterator[dict[str, Items]]:
    """Yield the crops of real and of generated images by class; an image's belong together."""
    cache = FeatureCache(work_dir, encoder, crop)
    for dataset in pair:
        crops = box_features(dataset, encoder=encoder, crop=crop, cache=cache)
        chosen = (crops.select(crops.class_id == i) for i in range(len(dataset.class_names)))
        yield {
            name: Items(one.features, one.image)
            for name, one in zip(dataset.class_names, chosen, strict=True)
        }
