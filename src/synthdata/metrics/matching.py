"""Detections matched to objects, by pycocotools without its prints."""

import contextlib
import io
from collections.abc import Sequence

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from synthdata.detections import Detections, to_coco_results
from synthdata.formats.coco import to_coco
from synthdata.samples import DetectionDataset

MAX_DETECTIONS = 100


def match_detections(ground_truth: DetectionDataset, predictions: Sequence[Detections]) -> COCOeval:
    """Return pycocotools' evaluator after the matching, before any averaging.

    Args:
        ground_truth: The labelled images.
        predictions: One entry an image, in the same order.

    Raises:
        ValueError: If there isn't one entry an image.
    """
    if len(predictions) != len(ground_truth):
        raise ValueError(
            f"predictions must have one entry for each of {len(ground_truth)} images, "
            f"got {len(predictions)}"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = to_coco(ground_truth)
        truth.createIndex()
        results = to_coco_results(predictions)
        # COCO.loadRes refuses an empty list, so that results are indexed here.
        for index, result in enumerate(results, start=1):
            result |= {"id": index, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        found.dataset = truth.dataset | {"annotations": results}
        found.createIndex()
        coco_eval = COCOeval(truth, found, iouType="bbox")
        coco_eval.params.areaRng, coco_eval.params.areaRngLbl = [[0, 1e10]], ["all"]
        coco_eval.params.maxDets = [MAX_DETECTIONS]
        coco_eval.evaluate()
    return coco_eval
