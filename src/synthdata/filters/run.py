"""The filter stage's work: score each image, decide, check the kept set as a whole, write."""

import logging
import shutil
from pathlib import Path
from typing import Any, assert_never

from synthdata.config.filter import (
    ClipFilterConfig,
    DetectorFilterConfig,
    DifficultyFilterConfig,
    FilterConfig,
    ManifoldFilterConfig,
    MemorisationFilterConfig,
)
from synthdata.errors import DatasetError
from synthdata.features import ImageEncoder, build_encoder
from synthdata.features.boxes import box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.clip import ClipScorer, load_clip
from synthdata.features.crops import CropSettings
from synthdata.filters.base import ImageScore, scores_frame
from synthdata.filters.clip import score_by_clip
from synthdata.filters.decide import decide, decide_alone, decisions_frame
from synthdata.filters.detector import score_by_detector
from synthdata.filters.difficulty import score_by_difficulty
from synthdata.filters.kept import SCORES, save_kept, save_table
from synthdata.filters.manifold import score_by_manifold
from synthdata.filters.measure import Crops, measure
from synthdata.filters.memorisation import score_by_memorisation
from synthdata.samples import DetectionDataset

logger = logging.getLogger(__name__)


def filter_pools(
    section: FilterConfig,
    *,
    train: DetectionDataset,
    made: DetectionDataset,
    model_dir: Path | None,
    out_dir: Path,
) -> dict[str, Any]:
    """Filter each of the section's pools; see `filter_pool`.

    Args:
        section: The pools, the filters and how much they keep.
        train: The real train split.
        made: The images of all pools.
        model_dir: The folder of stage `fit`, where a filter uses its CLIP.
        out_dir: Gets a folder per pool.

    Returns:
        `pools`: per pool what `filter_pool` returns.
    """
    return {
        "pools": {
            name: filter_pool(
                section,
                train=train,
                pool=made.where(pool=name),
                model_dir=model_dir,
                out_dir=out_dir / name,
            )
            for name in section.pools
        }
    }


def filter_pool(
    section: FilterConfig,
    *,
    train: DetectionDataset,
    pool: DetectionDataset,
    model_dir: Path | None,
    out_dir: Path,
) -> dict[str, Any]:
    """Score a pool of images, keep the best, and write scores, decisions and images.

    Features and the judges' trainings are kept in `out_dir/work` until the stage is done, so
    that a killed one goes on.

    Args:
        section: Filters and how much they keep.
        train: The real train split; nothing else that is real is looked at.
        pool: The generated images.
        model_dir: The folder of stage `fit`, where a filter uses its CLIP.
        out_dir: Gets `scores.parquet`, `decisions.parquet` and, as a data set, the images that
            the filters, one of them alone or the random twin keep; `load_kept` tells which
            is which.

    Returns:
        Metrics: images in and out, by which filter they were rejected and how many each would
        keep alone, mean scores, and manifold scores and coverage of the pool, the kept set and
        its random twin.

    Raises:
        DatasetError: If the train split is empty, or of fewer images or groups than a filter
            has folds, or the kept set covers less than
            `min_coverage` of what the pool covers of a class.
        ConfigError: If the encoder's packages are missing.
        GenerationError: If the CLIP that `fit` trains is asked for and isn't there.
        TrainingError: If the judge can't be trained.
    """
    if len(train) == 0:
        raise DatasetError("filters need real train images, got none; check prepare.train_images")
    work_dir = out_dir / "work"
    crops = _encode_crops(section, train, pool, work_dir)
    scores, extra = _score(section, train, pool, crops, model_dir, work_dir)
    save_table(scores_frame(scores), out_dir / SCORES)
    decisions = decide(section, pool, scores)
    num_kept = sum(decision.kept for decision in decisions)
    alone = decide_alone(section, pool, scores, at_most=num_kept)
    frame = decisions_frame(section, pool, decisions, alone)
    metrics = measure(pool, scores, decisions, frame, crops) | extra
    metrics["kept_alone"] = {kind: sum(d.kept for d in own) for kind, own in alone.items()}
    _check(section, metrics)
    save_kept(pool, frame, out_dir)
    shutil.rmtree(work_dir, ignore_errors=True)
    return metrics


def _encode_crops(
    section: FilterConfig, train: DetectionDataset, pool: DetectionDataset, work_dir: Path
) -> Crops:
    # The kept set is checked on the real crops' manifold whichever filters there are.
    stated = [one for one in section.filters if isinstance(one, ManifoldFilterConfig)]
    config = stated[0] if stated else ManifoldFilterConfig(kind="manifold")
    encoder = build_encoder(config.encoder)
    crop = CropSettings(config.crop_size, config.margin)
    cache = FeatureCache(work_dir / "features", encoder, crop)
    return Crops(
        config=config,
        encoder=_described(encoder),
        real=box_features(train, encoder=encoder, crop=crop, cache=cache),
        pool=box_features(pool, encoder=encoder, crop=crop, cache=cache),
    )


def _score(
    section: FilterConfig,
    train: DetectionDataset,
    pool: DetectionDataset,
    crops: Crops,
    model_dir: Path | None,
    work_dir: Path,
) -> tuple[dict[str, list[ImageScore]], dict[str, Any]]:
    """Return each filter's scores, and what else it measured."""
    scores: dict[str, list[ImageScore]] = {}
    by_filter: dict[str, Any] = {}
    extra: dict[str, Any] = {"by_filter": by_filter}
    for config in section.filters:
        match config:
            case ManifoldFilterConfig():
                scores[config.kind] = score_by_manifold(
                    pool,
                    real=crops.real,
                    generated=crops.pool,
                    num_neighbors=config.num_neighbors,
                )
            case DetectorFilterConfig():
                judged = score_by_detector(
                    config, train=train, pool=pool, seed=section.seed, work_dir=work_dir / "judge"
                )
                scores[config.kind] = judged.scores
                extra["judge_score_on_real_train"] = round(judged.real_score, 6)
            case DifficultyFilterConfig():
                found = score_by_difficulty(
                    config,
                    train=train,
                    pool=pool,
                    seed=section.seed,
                    work_dir=work_dir / "difficulty",
                )
                scores[config.kind] = found.scores
                extra["error_on_real_train"] = found.describe()
            case ClipFilterConfig():
                scorer = load_clip(
                    config.model, model_dir, pool.class_names, asked_by="filter clip"
                )
                cache = FeatureCache(work_dir / "features", scorer.encoder, scorer.crop)
                scores[config.kind] = score_by_clip(
                    pool,
                    scorer=scorer,
                    generated=box_features(
                        pool, encoder=scorer.encoder, crop=scorer.crop, cache=cache
                    ),
                )
                by_filter[config.kind] = {"encoder": _described(scorer)}
            case MemorisationFilterConfig():
                encoder = build_encoder(config.encoder)
                scores[config.kind] = score_by_memorisation(
                    config,
                    encoder=encoder,
                    train=train,
                    pool=pool,
                    cache_dir=work_dir / "features",
                )
                by_filter[config.kind] = {"encoder": _described(encoder)}
            case _:
                assert_never(config)
    return scores, extra


def _described(encoder: ImageEncoder | ClipScorer) -> dict[str, str]:
    return {"name": encoder.name, "weights_sha256": encoder.weights_sha256}


def _check(section: FilterConfig, metrics: dict[str, Any]) -> None:
    """Stop where the kept set covers less than `min_coverage` of what the pool does of a class."""
    num_kept, num_pool = (metrics["num_images"][name] for name in ("filtered", "pool"))
    if num_kept == 0:
        logger.warning(
            "the filter keeps none of %d images (%s); nothing is put in their place",
            num_pool,
            metrics["rejected_by"],
        )
        return
    relative = {k: v for k, v in metrics["relative_coverage"].items() if v is not None}
    unchecked = sorted(metrics["relative_coverage"].keys() - relative.keys())
    if unchecked:
        logger.warning(
            "min_coverage isn't checked for %s: all images together cover too few real crops there",
            ", ".join(unchecked),
        )
    least = min(relative, key=lambda name: relative[name], default=None)
    if least is not None and relative[least] < section.min_coverage:
        raise DatasetError(
            f"of the real crops of {least} that all {num_pool} images cover, the {num_kept} kept "
            f"ones cover {relative[least]:.1%}, filter.min_coverage asks for "
            f"{section.min_coverage:.1%} (rejected by: {metrics['rejected_by']}); raise "
            "filter.keep_fraction or lower the filters' min_score, or lower min_coverage to accept "
            "less variety"
        )
