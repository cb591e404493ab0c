"""How detections agree with what a layout promised, in boxes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from synthdata.boxes import FloatArray, iou_matrix
from synthdata.detections import Detections
from synthdata.samples import Annotations

# A detection of the right class that overlaps an unfound box at least this much is the
# promised object at the wrong place or of the wrong size.
_MOVED_IOU: Final = 0.1
_BETA: Final = 2


@dataclass(frozen=True)
class Agreement:
    """How one image's detections agree with what it promises, in boxes."""

    num_promised: int
    num_found: int
    num_moved: int
    num_missing: int
    num_extra: int

    @property
    def score(self) -> float:
        """F2 in [0, 1], a moved box counting half; 1 where nothing is promised or found.

        A missing box counts four times as much as one that nobody promised (van Rijsbergen 1979,
        "Information Retrieval", chapter 7): real labels leave objects out, so that detectors
        find more than is promised in good images too.
        """
        num_detected = self.num_found + self.num_moved + self.num_extra
        total = _BETA**2 * self.num_promised + num_detected
        correct = self.num_found + self.num_moved / 2
        return (1 + _BETA**2) * correct / total if total else 1.0

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        parts = []
        if self.num_missing:
            parts.append(f"{self.num_missing} of {self.num_promised} boxes missing")
        if self.num_moved:
            parts.append(f"{self.num_moved} of {self.num_promised} boxes moved")
        if self.num_extra:
            parts.append(f"{self.num_extra} extra")
        return ", ".join(parts) or f"all {self.num_promised} boxes found, no extra"


def compare_with_layout(
    promised: Annotations, detected: Detections, *, iou_threshold: float
) -> Agreement:
    """Return how detections agree with promised boxes, matched one to one within a class."""
    num_found = num_moved = 0
    for class_id in np.unique(promised.class_id).tolist():
        iou = iou_matrix(
            promised.xyxy[promised.class_id == class_id],
            detected.xyxy[detected.class_id == class_id],
        )
        found, left = _match(iou, iou_threshold)
        moved, _ = _match(left, min(_MOVED_IOU, iou_threshold))
        num_found += found
        num_moved += moved
    return Agreement(
        num_promised=len(promised),
        num_found=num_found,
        num_moved=num_moved,
        num_missing=len(promised) - num_found - num_moved,
        num_extra=len(detected) - num_found - num_moved,
    )


def _match(iou: FloatArray, threshold: float) -> tuple[int, FloatArray]:
    """Return the largest number of pairs at the threshold, and the pairs that are left."""
    # One more pair outweighs the overlaps of all others.
    pair = min(iou.shape) + 1
    rows, columns = linear_sum_assignment(np.where(iou >= threshold, pair + iou, 0), maximize=True)
    matched = iou[rows, columns] >= threshold
    rows, columns = rows[matched], columns[matched]
    left = np.delete(np.delete(iou, rows, axis=0), columns, axis=1)
    return len(rows), left
