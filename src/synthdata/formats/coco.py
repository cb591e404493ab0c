"""COCO detection JSON: a data set as one dictionary, and back.

Category ids are `class_id + 1`, since COCO counts from 1 and many tools take 0 for the
background. Source: the COCO data format page, object detection.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from synthdata.boxes import area, xywh_to_xyxy, xyxy_to_xywh
from synthdata.samples import Annotations, DetectionDataset


def to_coco(dataset: DetectionDataset) -> dict[str, Any]:
    """Return the data set as COCO's `images`, `annotations` and `categories`.

    `file_name` is the sample's path below `images/`, or the whole path where it lies
    elsewhere; `split` is an extra field that COCO tools ignore.
    """
    images, annotations = [], []
    for image_id, sample in enumerate(dataset.samples, start=1):
        images.append(
            {
                "id": image_id,
                "file_name": sample.path.as_posix().removeprefix("images/"),
                "width": sample.width,
                "height": sample.height,
                "split": sample.split,
            }
        )
        boxes = xyxy_to_xywh(sample.annotations.xyxy)
        areas = area(sample.annotations.xyxy)
        for bbox, size, class_id in zip(boxes, areas, sample.annotations.class_id, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": [float(value) for value in bbox],
                    "area": float(size),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(dataset.class_names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def class_names_of(coco: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names in the order of their category ids."""
    ordered = sorted(coco["categories"], key=lambda category: category["id"])
    return tuple(str(category["name"]) for category in ordered)


def annotations_by_image(coco: Mapping[str, Any]) -> dict[int, Annotations]:
    """Return each image id's objects; class ids follow `class_names_of`.

    Boxes reach us through COCO's x, y, width, height, so that a right edge may differ from
    the original by one unit in the last place of a float32.
    """
    class_id = {
        category["id"]: i
        for i, category in enumerate(sorted(coco["categories"], key=lambda c: c["id"]))
    }
    rows: dict[int, list[tuple[list[float], int]]] = defaultdict(list)
    for entry in coco["annotations"]:
        rows[entry["image_id"]].append((entry["bbox"], class_id[entry["category_id"]]))
    return {
        image["id"]: Annotations(
            xyxy=xywh_to_xyxy(
                np.array([box for box, _ in rows[image["id"]]], np.float32).reshape(-1, 4)
            ),
            class_id=np.array([index for _, index in rows[image["id"]]], np.int64),
        )
        for image in coco["images"]
    }
