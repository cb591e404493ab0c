"""What a detector found in an image, and COCO's results format for it.

COCO results JSON is a list of `image_id`, `category_id`, `bbox` (x, y, width, height) and
`score`. Ids follow `synthdata.formats.coco.to_coco`: image ids count the data set's samples
from 1, and `category_id` is `class_id + 1`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthdata.boxes import FloatArray, as_xyxy, xywh_to_xyxy, xyxy_to_xywh
from synthdata.samples import IntArray


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects that a detector found in one image.

    Attributes:
        xyxy: `(N, 4)` float32, pixels of the original image.
        class_id: `(N,)` int64.
        confidence: `(N,)` float32 in [0, 1].
    """

    xyxy: FloatArray
    class_id: IntArray
    confidence: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", as_xyxy(self.xyxy))
        class_id = np.asarray(self.class_id, dtype=np.int64).reshape(-1)
        confidence = np.asarray(self.confidence, dtype=np.float32).reshape(-1)
        object.__setattr__(self, "class_id", class_id)
        object.__setattr__(self, "confidence", confidence)
        if not len(self.xyxy) == len(class_id) == len(confidence):
            raise ValueError(
                "xyxy, class_id and confidence must have the same length, got "
                f"{len(self.xyxy)}, {len(class_id)} and {len(confidence)}"
            )

    def __len__(self) -> int:
        return len(self.class_id)

    def above(self, confidence: float) -> "Detections":
        """Return the detections of at least that confidence."""
        chosen = self.confidence >= confidence
        return Detections(self.xyxy[chosen], self.class_id[chosen], self.confidence[chosen])


def to_coco_results(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return COCO results; the detections of image `i` get the image id `i + 1`."""
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id) + 1,
            "bbox": [float(value) for value in bbox],
            "score": float(score),
        }
        for image_id, found in enumerate(detections, start=1)
        for bbox, class_id, score in zip(
            xyxy_to_xywh(found.xyxy), found.class_id, found.confidence, strict=True
        )
    ]


def from_coco_results(results: Sequence[Mapping[str, Any]], *, num_images: int) -> list[Detections]:
    """Return each image's detections, in the order of the image ids; many may have none.

    Raises:
        ValueError: If a result belongs to no image.
    """
    rows: list[list[Mapping[str, Any]]] = [[] for _ in range(num_images)]
    for result in results:
        if not 1 <= result["image_id"] <= num_images:
            raise ValueError(
                f"image_id must be between 1 and {num_images}, got {result['image_id']}"
            )
        rows[result["image_id"] - 1].append(result)
    return [
        Detections(
            xyxy=xywh_to_xyxy(np.array([r["bbox"] for r in found], np.float32).reshape(-1, 4)),
            class_id=np.array([r["category_id"] - 1 for r in found], np.int64),
            confidence=np.array([r["score"] for r in found], np.float32),
        )
        for found in rows
    ]
