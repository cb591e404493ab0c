"""How much of what layouts promise a judge finds in the images made for them.

A class's score is its AP at IoU .50 on generated images over that on real images of the same
layouts, at most 1: objects that are easier to find than real ones must not pay for another
class's missing ones. It is a variant of the "YOLO score" of layout-to-image papers (Li et al.,
"Image Synthesis From Layout With Locality-Aware Mask Adaption", 2021), which has no such base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from synthdata import boxes
from synthdata.detections import Detections
from synthdata.metrics.detection import evaluate_detections
from synthdata.samples import Annotations, DetectionDataset


@dataclass(frozen=True)
class ClassScore:
    """One class's AP at IoU .50 and what follows; None where it is undefined.

    Attributes:
        real_map50: On the real images.
        generated_map50: On the generated images.
        shuffled_map50: On the generated images with another image's layout: chance; None
            where there is only one image.
        score: Generated over real, at most 1; None where the judge finds no real object.
        shuffled_score: The same for chance.
    """

    real_map50: float | None
    generated_map50: float | None
    shuffled_map50: float | None
    score: float | None
    shuffled_score: float | None


@dataclass(frozen=True)
class LayoutScore:
    """How well generated images show their layouts.

    Attributes:
        score: Mean of the classes' scores, in [0, 1]; None where no class has one.
        shuffled_score: The same for shuffled layouts: what chance gives.
        map50: mAP at IoU .50 on `real`, `generated` and, of two images and more, `shuffled`,
            without the cap.
        per_class: By class name.
    """

    score: float | None
    shuffled_score: float | None
    map50: Mapping[str, float | None]
    per_class: Mapping[str, ClassScore]

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)


def score_layouts(
    *,
    real: DetectionDataset,
    real_detections: Sequence[Detections],
    generated: DetectionDataset,
    generated_detections: Sequence[Detections],
    seed: int,
) -> LayoutScore:
    """Return the layout score of generated images.

    Args:
        real: Real images.
        real_detections: What the judge finds there, one entry an image.
        generated: Images made for layouts such as those of `real`, labelled with them.
        generated_detections: What the judge finds there, one entry an image.
        seed: Of the shuffling.

    Raises:
        ValueError: If there isn't one entry an image.
    """
    found = {
        "real": evaluate_detections(real, real_detections).to_json(),
        "generated": evaluate_detections(generated, generated_detections).to_json(),
    }
    if len(generated) > 1:
        shuffled = shuffle_layouts(generated, seed)
        found["shuffled"] = evaluate_detections(shuffled, generated_detections).to_json()
    per_class = {}
    for name in real.class_names:
        ap = {part: metrics["per_class_map50"][name] for part, metrics in found.items()}
        per_class[name] = ClassScore(
            real_map50=ap["real"],
            generated_map50=ap["generated"],
            shuffled_map50=ap.get("shuffled"),
            score=_capped_ratio(ap["generated"], ap["real"]),
            shuffled_score=_capped_ratio(ap.get("shuffled"), ap["real"]),
        )
    return LayoutScore(
        score=_mean([one.score for one in per_class.values()]),
        shuffled_score=_mean([one.shuffled_score for one in per_class.values()]),
        map50={part: metrics["map50"] for part, metrics in found.items()},
        per_class=per_class,
    )


def shuffle_layouts(dataset: DetectionDataset, seed: int) -> DetectionDataset:
    """Return the images, each labelled with another one's objects, scaled to its own size."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    # One cycle through all images, so that none keeps its own layout.
    donor = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    samples = []
    for i, sample in enumerate(dataset):
        other = dataset.samples[donor[i]]
        xyxy = boxes.scale(
            other.annotations.xyxy,
            factor_x=sample.width / other.width,
            factor_y=sample.height / other.height,
        )
        annotations = Annotations(xyxy, other.annotations.class_id)
        samples.append(replace(sample, annotations=annotations))
    return replace(dataset, samples=tuple(samples))


def _capped_ratio(value: float | None, base: float | None) -> float | None:
    return min(1.0, value / base) if value is not None and base else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
