"""YOLO detection folders: `data.yaml`, `images/<split>/`, `labels/<split>/`.

A label is a line `class_id centre_x centre_y width height`, the last four as fractions of
the image. Source: the ultralytics documentation, object detection data sets. Both its
`images/train` and Roboflow's `train/images` order of folders are read.
"""

from pathlib import Path

import yaml

from synthdata.boxes import xyxy_to_cxcywh
from synthdata.files import link_or_copy, replacing_dir
from synthdata.formats.assemble import assemble
from synthdata.formats.export import export_name, guard_target
from synthdata.formats.yolo_reader import parse_yolo
from synthdata.samples import DetectionDataset, Sample, Split

_SPLITS: tuple[Split, ...] = ("train", "reserve", "val", "test")


def load_yolo(root: Path) -> DetectionDataset:
    """Return the data set in a YOLO folder.

    Raises:
        DatasetError: With every problem found.
    """
    return assemble(parse_yolo(root))


def save_yolo(dataset: DetectionDataset, out_dir: Path) -> None:
    """Write a data set as a YOLO folder, all or nothing; an older one is replaced.

    `data.yaml` names no absolute path and no download, so that the folder can be moved.

    Args:
        dataset: Its images are linked where possible, else copied.
        out_dir: The new folder.

    Raises:
        DatasetError: If `out_dir` is the data set's own folder, or holds it.
    """
    guard_target(dataset, out_dir)
    with replacing_dir(out_dir) as folder:
        for split in ("train", "val"):
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True)
        for sample in dataset:
            image = folder / "images" / sample.split / export_name(sample)
            link_or_copy(dataset.image_path(sample), image)
            label = folder / "labels" / sample.split / f"{sample.sample_id}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(label_text(sample), encoding="utf-8")
        splits = [s for s in _SPLITS if s in ("train", "val") or dataset.split(s).samples]
        config = {split: f"images/{split}" for split in splits}
        names = dict(enumerate(dataset.class_names))
        text = yaml.safe_dump(config | {"names": names}, sort_keys=False, allow_unicode=True)
        (folder / "data.yaml").write_text(text, encoding="utf-8")


def label_text(sample: Sample) -> str:
    """Return an image's YOLO label file."""
    cxcywh = xyxy_to_cxcywh(sample.annotations.xyxy, width=sample.width, height=sample.height)
    return "".join(
        f"{class_id} " + " ".join(f"{value:.9g}" for value in row) + "\n"
        for class_id, row in zip(sample.annotations.class_id, cxcywh, strict=True)
    )
