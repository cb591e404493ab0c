"""Stage `score`: do generated images show what their layouts promise?

Images are made for the layouts of real val images, and a judge, a detector trained on all real
train images, looks for the promised objects in them and in the real images. Beside that it is
measured how near generated images come to the train images, and how near real val images do:
a generator that copies comes nearer. Two measures need no judge: what a detector learns from
generated images alone, beside what it learns from as many real ones; and fidelity metrics.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from synthdata.config.generate import GenerateConfig
from synthdata.config.pools import GeneratorPool
from synthdata.config.score import ScoreConfig
from synthdata.detections import Detections
from synthdata.detectors.jobs import prepare_training, read_training, train_and_predict
from synthdata.detectors.workers import run_workers
from synthdata.errors import DatasetError
from synthdata.features import build_encoder
from synthdata.features.images import image_features
from synthdata.fidelity import load_tools, measure_fidelity
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.manifest import load_dataset
from synthdata.metrics.agreement import compare_with_layout
from synthdata.metrics.detection import evaluate_detections
from synthdata.metrics.layout_score import score_layouts
from synthdata.metrics.manifold import nearest_distances
from synthdata.samples import DetectionDataset, Layout, join_datasets
from synthdata.seeding import derive_seed

# Pixels of the longer side; the details that tell two photographs apart are coarser.
_ENCODED_SIZE: Final = 192

logger = logging.getLogger(__name__)


def score_generator(
    section: ScoreConfig,
    *,
    generator: GeneratorPool,
    prepared: DetectionDataset,
    pool: DetectionDataset,
    model_dir: Path,
    out_dir: Path,
) -> dict[str, Any]:
    """Generate images for val layouts and return the layout score.

    Args:
        section: Which layouts, and the judge.
        generator: The pool's settings, as stage `generate` uses them.
        prepared: The real data; train and reserve train the judge.
        pool: What the generator made in stage `generate`, for `section.alone` and the boxes.
        model_dir: The folder of stage `fit`.
        out_dir: Gets the images as a data set and the judge's training; finished parts of a
            killed run are kept.

    Returns:
        Values for `metrics.json`: the score in total and a class, chance beside it, boxes
        found, moved, missing and extra in generated and in real images, the median distance to
        the nearest train image of both and of the pool, what a detector learns from generated
        images alone, and fidelity metrics.

    Raises:
        DatasetError: If there is no val or train image.
        GenerationError: If the generator can't be built, or a fitted CLIP isn't there.
        ConfigError: If an encoder can't be built.
        TrainingError: If the judge can't be trained.
    """
    val = prepared.split("val")
    val = replace(val, samples=val.samples[: section.num_images])
    seen = prepared.split("train")
    train = judge_images(prepared)
    if not len(val) or not len(seen):
        raise DatasetError(
            f"score needs real train and val images, got {len(seen)} and {len(val)}; check prepare"
        )
    tools = section.fidelity and load_tools(section.fidelity, model_dir, val.class_names)
    layouts = [Layout(s.sample_id, s.width, s.height, s.annotations) for s in val]
    made = generate_pools(
        GenerateConfig(
            seed=section.seed,
            pools={section.pool or "": generator},
            shard_size=section.shard_size,
        ),
        PoolInputs(
            seen, held_out=val, layouts={generator.balance or 0.0: layouts}, model_dir=model_dir
        ),
        out_dir=out_dir,
    )
    generated = load_dataset(out_dir)
    targets = join_datasets(real=val, generated=generated)
    found = train_and_predict(
        section.judge.detector,
        train=train,
        targets=targets,
        steps=section.judge.steps,
        batch_size=section.judge.batch_size,
        seed=derive_seed(section.seed, "score-judge"),
        threads=section.judge.threads,
        out_dir=out_dir / "judge",
    )
    real_found, generated_found = found[: len(val)], found[len(val) :]
    score = score_layouts(
        real=val,
        real_detections=real_found,
        generated=generated,
        generated_detections=generated_found,
        seed=derive_seed(section.seed, "score-shuffle"),
    )
    logger.info("score: %s of what a judge finds in real images", score.score)
    features = out_dir / "features"
    metrics = {
        "images": len(val),
        "judge_train_images": len(train),
        **score.to_json(),
        **made,
        "novelty": _novelty(
            section,
            seen,
            {"real": val, "generated": generated, "pool": pool},
            cache_dir=features,
        ),
        "boxes": {
            "real": _count_boxes(section, val, real_found),
            "generated": _count_boxes(section, generated, generated_found),
        },
        "alone": learn_alone(section, real=seen, pool=pool, val=val, out_dir=out_dir / "alone"),
        "fidelity": tools
        and measure_fidelity(
            tools,
            real=val,
            generated=generated,
            layouts=pool.samples,
            seed=derive_seed(section.seed, "score-fidelity"),
            work_dir=features,
        ),
    }
    shutil.rmtree(features)  # only a killed run has use for it
    return metrics


def judge_images(prepared: DetectionDataset) -> DetectionDataset:
    """Return what the judge is trained on: all real train images, those held in reserve too."""
    return _as_train(prepared.split("train", "reserve"))


def _as_train(dataset: DetectionDataset) -> DetectionDataset:
    return replace(dataset, samples=tuple(replace(one, split="train") for one in dataset))


def learn_alone(
    section: ScoreConfig,
    *,
    real: DetectionDataset,
    pool: DetectionDataset,
    val: DetectionDataset,
    out_dir: Path,
) -> dict[str, Any] | None:
    """Return what detectors trained on real and on as many generated images find in val.

    They are trained side by side, for equally many steps from the same seed; the first generated
    images are taken.
    """
    if section.alone is None:
        return None
    alone, num_images = section.alone, min(len(real), len(pool))
    parts = {"real": real, "generated": pool}
    calls = [
        prepare_training(
            alone.detector,
            train=_as_train(replace(part, samples=part.samples[:num_images])),
            targets=val,
            steps=alone.steps,
            batch_size=alone.batch_size,
            seed=derive_seed(section.seed, "score-alone"),
            threads=alone.threads,
            out_dir=out_dir / name,
        )
        for name, part in parts.items()
    ]
    list(run_workers([call for call in calls if call], num_parallel=len(calls)))
    measured = {
        name: evaluate_detections(val, read_training(out_dir / name, val)).to_json()
        for name in parts
    }
    base, value = (measured[name]["map50_95"] for name in ("real", "generated"))
    return {"images": num_images, **measured, "ratio": value / base if base else None}


def _novelty(
    section: ScoreConfig,
    train: DetectionDataset,
    parts: Mapping[str, DetectionDataset],
    *,
    cache_dir: Path,
) -> dict[str, Any]:
    """Return how far images are from the nearest train image, mirror images of it included.

    Images made for val's layouts have val's arrangement, and so its distance to train; those of
    the pool show whether a layout of their own brings them nearer.
    """
    encoder = build_encoder(section.encoder)
    look = partial(image_features, encoder=encoder, size=_ENCODED_SIZE, cache_dir=cache_dir)
    reference = look(train, mirrored=True)
    medians = {
        name: float(
            np.median(nearest_distances(features_query=look(part), features_reference=reference))
        )
        for name, part in parts.items()
        if len(part)
    }
    ratios = {
        name: medians[name] / medians["real"] if medians["real"] and name in medians else None
        for name in ("generated", "pool")
    }
    return {
        "encoder": {"name": encoder.name, "weights_sha256": encoder.weights_sha256},
        "median_distance": medians,
        "ratio": ratios["generated"],
        "pool_ratio": ratios["pool"],
    }


def _count_boxes(
    section: ScoreConfig, dataset: DetectionDataset, found: Sequence[Detections]
) -> dict[str, int]:
    counts = [
        asdict(
            compare_with_layout(
                sample.annotations,
                detections.above(section.confidence),
                iou_threshold=section.iou_threshold,
            )
        )
        for sample, detections in zip(dataset, found, strict=True)
    ]
    return {
        name.removeprefix("num_"): int(np.sum([count[name] for count in counts]))
        for name in counts[0]
    }
