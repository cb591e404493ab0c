"""The formats by name."""

from pathlib import Path
from typing import Literal

from synthdata.errors import DatasetError
from synthdata.formats.coco_reader import parse_coco
from synthdata.formats.records import RawDataset
from synthdata.formats.voc_reader import parse_voc
from synthdata.formats.yolo_reader import parse_yolo

FormatName = Literal["yolo", "coco", "voc"]
_PARSERS = {"yolo": parse_yolo, "coco": parse_coco, "voc": parse_voc}


def parse_dataset(root: Path, format_name: FormatName) -> RawDataset:
    """Return a data set's records and problems.

    Raises:
        DatasetError: If there is no such folder.
    """
    if not root.is_dir():
        raise DatasetError(f"expected the folder of a {format_name} data set, {root} is none")
    return _PARSERS[format_name](root)
