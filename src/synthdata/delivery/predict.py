"""What a run's detector finds in the user's images."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from synthdata.delivery.choice import TrainedDetector
from synthdata.delivery.outputs import refuse_existing
from synthdata.delivery.pictures import copy_images, draw, find_images
from synthdata.detections import Detections, to_coco_results
from synthdata.detectors.trained import predict_images
from synthdata.files import replacing_dir, write_json
from synthdata.formats.coco import to_coco
from synthdata.samples import DetectionDataset

DETECTIONS: Final = "detections.json"
IMAGES: Final = "images.json"
PICTURES: Final = "pictures"


def predict_pictures(
    detector: TrainedDetector, path: Path, *, out_dir: Path, confidence: float = 0.25
) -> dict[str, Any]:
    """Write what a detector finds in images, as COCO results and drawn into the images.

    Images are scaled and padded by the code that did so when the detector was scored, whatever
    their size.

    Args:
        detector: Which.
        path: An image, or a folder of images.
        out_dir: A folder that isn't there; it appears when all is done. It gets `detections.json`
            (COCO results, with `file_name` and `category` added), `images.json` (COCO's images and
            categories, which the results' ids are of) and `pictures/`.
        confidence: The least, in [0.001, 1].

    Returns:
        What `TrainedDetector.describe` does, `confidence`, `num_images`, `num_detections` and the
        `folder`.

    Raises:
        DeliveryError: If `out_dir` is there.
        DatasetError: If there is no image, or one can't be read.
        TrainingError: If the detector's process fails.
    """
    refuse_existing(out_dir)
    folder, paths = find_images(path)
    with tempfile.TemporaryDirectory(prefix="synthdata-") as name:
        work_dir = Path(name)
        images = copy_images(folder, paths, detector.class_names, work_dir / "images")
        files = [images.image_path(sample) for sample in images]
        found = [
            one.above(confidence)
            for one in predict_images(detector.section, detector.job_dir, files, work_dir=work_dir)
        ]
        facts = {
            **detector.describe(),
            "confidence": confidence,
            "num_images": len(found),
            "num_detections": sum(map(len, found)),
        }
        with replacing_dir(out_dir) as temporary:
            _write_pictures(images, found, temporary / PICTURES)
            _write_coco(images, paths, found, facts, temporary)
    return {**facts, "folder": str(out_dir)}


def _write_pictures(images: DetectionDataset, found: Sequence[Detections], out_dir: Path) -> None:
    out_dir.mkdir()
    for sample, detections in zip(images, found, strict=True):
        with Image.open(images.image_path(sample)) as image:
            image.load()
            draw(image, detections, images.class_names)
            image.save(out_dir / f"{sample.sample_id}.jpg", quality=90, subsampling=0)


def _write_coco(
    images: DetectionDataset,
    paths: Sequence[Path],
    found: Sequence[Detections],
    facts: dict[str, Any],
    out_dir: Path,
) -> None:
    names = [path.as_posix() for path in paths]
    results = [
        {
            "file_name": names[result["image_id"] - 1],
            "category": images.class_names[result["category_id"] - 1],
            **result,
        }
        for result in to_coco_results(found)
    ]
    write_json(out_dir / DETECTIONS, results)
    coco = {"info": facts, **to_coco(images)}
    for image, name, sample in zip(coco["images"], names, images, strict=True):
        del image["split"]
        image |= {"file_name": name, "picture": f"{PICTURES}/{sample.sample_id}.jpg"}
    write_json(out_dir / IMAGES, coco)
