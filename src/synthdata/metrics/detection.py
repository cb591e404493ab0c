"""Average precision as COCO defines it, by pycocotools, and its spread over the test images.

Source: T.-Y. Lin et al., Microsoft COCO: Common Objects in Context, 2014, and the evaluation
code of pycocotools. IoU thresholds .50 to .95 in steps of .05, 101 recall points, at most 100
detections an image, all box sizes.
"""

import contextlib
import io
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synthdata.detections import Detections
from synthdata.metrics.matching import match_detections
from synthdata.samples import DetectionDataset, IntArray

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DetectionMetrics:
    """Average precisions in [0, 1]; NaN where there is no object to find.

    Attributes:
        map50_95: Mean over the classes that occur and over IoU thresholds .50 to .95.
        map50: At IoU .50.
        map75: At IoU .75.
        per_class: Class name to its AP over IoU .50 to .95; NaN for a class without objects.
        per_class_map50: The same at IoU .50.
    """

    map50_95: float
    map50: float
    map75: float
    per_class: Mapping[str, float]
    per_class_map50: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON, with None for NaN."""
        return {
            name: {k: _none(v) for k, v in value.items()}
            if isinstance(value, Mapping)
            else _none(value)
            for name, value in asdict(self).items()
        }


def evaluate_detections(
    ground_truth: DetectionDataset, predictions: Sequence[Detections]
) -> DetectionMetrics:
    """Return the average precisions of detections.

    Args:
        ground_truth: The labelled images.
        predictions: One entry an image, in the same order.

    Raises:
        ValueError: If there isn't one entry an image.
    """
    coco_eval = match_detections(ground_truth, predictions)
    with contextlib.redirect_stdout(io.StringIO()):
        coco_eval.accumulate()
    # (thresholds, recall points, classes, 1 area range, 1 detection limit); -1 without objects
    precision = coco_eval.eval["precision"][..., 0, 0]
    ap = np.where(precision < 0, np.nan, precision).mean(axis=1)
    names = ground_truth.class_names
    return DetectionMetrics(
        map50_95=_nanmean(ap),
        map50=_nanmean(ap[0]),
        map75=_nanmean(ap[5]),
        per_class=dict(zip(names, ap.mean(axis=0).tolist(), strict=True)),
        per_class_map50=dict(zip(names, ap[0].tolist(), strict=True)),
    )


def bootstrap_counts(
    num_images: int,
    *,
    num_resamples: int,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> IntArray:
    """Return how often each image is drawn in each resample with replacement.

    One draw serves all arms and seeds, so that their differences are compared on the same
    images. Images that belong together (tiles of one photograph, frames of one camera,
    near-duplicates) say less than as many independent ones: given `groups`, as many whole groups
    are drawn as there are, the cluster bootstrap of A. C. Davison and D. V. Hinkley, Bootstrap
    Methods and their Application, 1997, section 3.8.

    Args:
        num_images: How many images there are.
        num_resamples: How many resamples.
        seed: Of the draw.
        groups: The label of each image's group, `(num_images,)`; None takes every image as a
            group of its own.

    Returns:
        `(num_resamples, num_images)`. Each row sums to `num_images` where the groups are of one
        size; else the images of a resample vary in number.

    Raises:
        ValueError: If there isn't one group label for each image.
    """
    labels = range(num_images) if groups is None else groups
    if len(labels) != num_images:
        raise ValueError(
            f"groups must have one label for each of {num_images} images, got {len(labels)}"
        )
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    rng = np.random.default_rng(seed)
    share = np.full(len(numbers), 1 / len(numbers))
    drawn = rng.multinomial(len(numbers), share, size=num_resamples).astype(np.int64)
    return drawn[:, [numbers[label] for label in labels]]


def bootstrap_map(
    ground_truth: DetectionDataset, predictions: Sequence[Detections], *, counts: IntArray
) -> Float64Array:
    """Return mAP50-95 on each resample of the images.

    Detections are matched to objects once; only the precision-recall curves are made anew.

    Args:
        ground_truth: The labelled images.
        predictions: One entry an image, in the same order.
        counts: `(num_resamples, num_images)`, as `bootstrap_counts` draws them.

    Returns:
        `(num_resamples,)`; NaN for a resample without any object.

    Raises:
        ValueError: If `predictions` or `counts` don't fit the images.
    """
    if counts.ndim != 2 or counts.shape[1] != len(ground_truth):
        raise ValueError(
            f"counts must have shape (num_resamples, {len(ground_truth)}), got {counts.shape}"
        )
    coco_eval = match_detections(ground_truth, predictions)
    num_images = len(ground_truth)
    per_class = [
        _class_ap(
            coco_eval.evalImgs[k * num_images : (k + 1) * num_images],
            objects=np.array([np.sum(s.annotations.class_id == k) for s in ground_truth]),
            counts=counts,
            recall_points=coco_eval.params.recThrs,
        )
        for k in range(len(ground_truth.class_names))
    ]
    values = np.stack(per_class)
    present = ~np.isnan(values)
    total = np.where(present, values, 0).sum(axis=0)
    result = np.full(len(counts), np.nan)
    np.divide(total, present.sum(axis=0), out=result, where=present.any(axis=0))
    return result


def _class_ap(
    per_image: Sequence[Mapping[str, Any] | None],
    *,
    objects: IntArray,
    counts: IntArray,
    recall_points: Float64Array,
) -> Float64Array:
    """Return a class's AP on each resample, `(R,)`; NaN where no object is drawn.

    A detection in an image drawn c times counts c times; precision at a recall is read at true
    positives only, since the interpolated curve changes nowhere else.
    """
    num_objects = counts @ objects
    found = [(i, entry) for i, entry in enumerate(per_image) if entry and len(entry["dtScores"])]
    if not found:
        return np.where(num_objects > 0, 0.0, np.nan)
    image = np.concatenate([np.full(len(entry["dtScores"]), i) for i, entry in found])
    order = np.argsort(-np.concatenate([entry["dtScores"] for _, entry in found]), kind="mergesort")
    hits = np.concatenate([entry["dtMatches"] > 0 for _, entry in found], axis=1)[:, order]
    weight = counts[:, image[order]]
    drawn = weight.cumsum(axis=1)
    ap = np.mean(
        [
            _interpolated(
                true_positives=weight[:, hit].cumsum(axis=1),
                detections=drawn[:, hit],
                num_objects=num_objects,
                recall_points=recall_points,
            )
            for hit in hits
        ],
        axis=0,
    )
    return np.asarray(np.where(num_objects > 0, ap, np.nan), dtype=np.float64)


def _interpolated(
    *,
    true_positives: IntArray,
    detections: IntArray,
    num_objects: IntArray,
    recall_points: Float64Array,
) -> Float64Array:
    """Return each resample's mean of the highest precision at or beyond each recall point.

    Args:
        true_positives: `(R, P)` true positives down to each.
        detections: `(R, P)` detections down to each true positive.
        num_objects: `(R,)`.
        recall_points: `(101,)`.
    """
    precision = true_positives / np.maximum(detections, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = true_positives / np.maximum(num_objects, 1)[:, None]
    result = np.zeros(len(recall))
    for row in range(len(recall)):
        first = np.searchsorted(recall[row], recall_points, side="left")
        reached = first < recall.shape[1]
        result[row] = envelope[row, first[reached]].sum() / len(recall_points)
    return result


def _nanmean(values: Float64Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
