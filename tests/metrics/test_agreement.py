import numpy as np
import pytest

from synthdata.detections import Detections
from synthdata.metrics.agreement import Agreement, compare_with_layout
from synthdata.samples import Annotations

A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]
NEAR_A = [1, 0, 11, 10]  # IoU .82
MOVED_A = [6, 0, 16, 10]  # IoU .25
FAR = [70, 70, 80, 80]


def agreement(
    promised: list[tuple[list[int], int]], detected: list[tuple[list[int], int]]
) -> Agreement:
    return compare_with_layout(
        Annotations([box for box, _ in promised], [kind for _, kind in promised]),
        Detections(
            [box for box, _ in detected],
            [kind for _, kind in detected],
            np.full(len(detected), 0.9, np.float32),
        ),
        iou_threshold=0.5,
    )


@pytest.mark.parametrize(
    ("promised", "detected", "counts", "score", "detail"),
    [
        pytest.param([], [], (0, 0, 0, 0), 1, "all 0 boxes found, no extra", id="background"),
        pytest.param([], [(A, 0)], (0, 0, 0, 1), 0, "1 extra", id="only extra"),
        pytest.param([(A, 0)], [], (0, 0, 1, 0), 0, "1 of 1 boxes missing", id="only missing"),
        pytest.param(
            [(A, 0), (B, 1)], [(B, 1), (NEAR_A, 0)], (2, 0, 0, 0), 1,
            "all 2 boxes found, no extra", id="found, in any order",
        ),
        pytest.param(
            [(A, 0)], [(MOVED_A, 0)], (0, 1, 0, 0), 0.5, "1 of 1 boxes moved", id="moved",
        ),
        pytest.param(
            [(A, 0)], [(A, 1)], (0, 0, 1, 1), 0, "1 of 1 boxes missing, 1 extra", id="mistaken",
        ),
        pytest.param(
            [(A, 0)], [(A, 0), (NEAR_A, 0)], (1, 0, 0, 1), 5 / 6, "1 extra", id="found twice",
        ),
        pytest.param(
            [(A, 0), (B, 0), (C, 0)], [(NEAR_A, 0), (FAR, 0)], (1, 0, 2, 1), 5 / 14,
            "2 of 3 boxes missing, 1 extra", id="all at once",
        ),
    ],
)  # fmt: skip
def test_agreement(
    promised: list[tuple[list[int], int]],
    detected: list[tuple[list[int], int]],
    counts: tuple[int, ...],
    score: float,
    detail: str,
) -> None:
    found = agreement(promised, detected)
    assert (found.num_found, found.num_moved, found.num_missing, found.num_extra) == counts
    assert found.score == pytest.approx(score)
    assert found.detail == detail


def test_matching_finds_as_many_as_can_be() -> None:
    # The first detection fits both boxes, the second only the first: both are found.
    boxes = [([0, 0, 10, 10], 0), ([3, 0, 13, 10], 0)]
    detected = [([1, 0, 11, 10], 0), ([-2, 0, 8, 10], 0)]
    assert agreement(boxes, detected).num_found == 2
    assert agreement(boxes, detected[::-1]).num_found == 2


def test_more_pairs_outweigh_closer_ones() -> None:
    """Four exact pairs would leave a box and a detection over that five looser ones don't."""
    boxes = [([i * 30.0, 0, i * 30.0 + 60, 10], 0) for i in range(5)]
    # Detection i lies on box i + 1 exactly, and a third on box i.
    found = compare_with_layout(
        Annotations([xyxy for xyxy, _ in boxes], [0] * 5),
        Detections(
            np.array([xyxy for xyxy, _ in boxes[1:]] + [[150, 0, 210, 10]], np.float32),
            np.zeros(5, np.int64), np.ones(5, np.float32),
        ),
        iou_threshold=1 / 3 - 1e-6,
    )  # fmt: skip
    assert found.num_found == 5
