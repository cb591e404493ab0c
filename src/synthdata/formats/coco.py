"""COCO detection JSON: a data set as one dictionary, and back.

Category ids are `class_id + 1`, since COCO counts from 1 and many tools take 0 for the
background. Source: the COCO data format page, object detection.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synthdata.boxes import area, xywh_to_xyxy, xyxy_to_xywh
from synthdata.files import link_or_copy, replacing_dir, write_json
from synthdata.formats.assemble import assemble
from synthdata.formats.coco_reader import parse_coco
from synthdata.formats.export import export_name, guard_target
from synthdata.samples import Annotations, DetectionDataset


def load_coco(root: Path) -> DetectionDataset:
    """Return the data set in a COCO folder, in either form.

    Raises:
        DatasetError: With every problem found.
    """
    return assemble(parse_coco(root))


def save_coco(dataset: DetectionDataset, out_dir: Path, *, official: bool = False) -> None:
    """Write a data set as a COCO folder, all or nothing; an older one is replaced.

    Args:
        dataset: Its images are linked where possible, else copied.
        out_dir: The new folder.
        official: Write `annotations/instances_<split>.json` beside `<split>/`, instead of
            `annotations.json` beside `images/`.

    Raises:
        DatasetError: If `out_dir` is the data set's own folder, or holds it.
    """
    guard_target(dataset, out_dir)
    with replacing_dir(out_dir) as folder:
        samples = []
        for sample in dataset:
            path = Path(sample.split if official else "images") / export_name(sample)
            link_or_copy(dataset.image_path(sample), folder / path)
            samples.append(replace(sample, path=path))
        written = replace(dataset, root=folder, samples=tuple(samples))
        if not official:
            write_json(folder / "annotations.json", to_coco(written))
            return
        for split in sorted({sample.split for sample in samples}):
            coco = to_coco(written.split(split))
            for image in coco["images"]:
                image["file_name"] = Path(image["file_name"]).name
            write_json(folder / "annotations" / f"instances_{split}.json", coco)


def to_coco(dataset: DetectionDataset) -> dict[str, Any]:
    """Return the data set as COCO's `images`, `annotations` and `categories`.

    `file_name` is the sample's path below `images/`, or the whole path where it lies
    elsewhere; `split` is an extra field that COCO tools ignore.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
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
