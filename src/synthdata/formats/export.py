"""What the writers of all formats share."""

from pathlib import Path

from synthdata.errors import DatasetError
from synthdata.samples import DetectionDataset, Sample


def guard_target(dataset: DetectionDataset, out_dir: Path) -> None:
    """Refuse to replace the folder that the images come from.

    Raises:
        DatasetError: If `out_dir` is the data set's own folder, or holds it.
    """
    if dataset.root.resolve().is_relative_to(out_dir.resolve()):
        raise DatasetError(
            f"expected a new folder to write to, got {out_dir}, where the data set itself is; "
            "choose another one"
        )


def export_name(sample: Sample) -> str:
    """Return an image's file name in an export: its id and its own suffix."""
    return sample.sample_id + sample.path.suffix.lower()
