"""A data set on disk: `manifest.parquet` (a row an image), `annotations.json` (COCO), `images/`.

The only form in which stages hand data sets to each other.
"""

from collections.abc import Hashable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from synthdata.errors import DatasetError
from synthdata.files import naming_damage, read_json, replacing, sha256_file, write_json
from synthdata.formats.coco import annotations_by_image, class_names_of, to_coco
from synthdata.samples import Annotations, DetectionDataset, Layout, Sample

MANIFEST = "manifest.parquet"
ANNOTATIONS = "annotations.json"
_COLUMNS = [field.name for field in fields(Sample) if field.name != "annotations"]


def save_dataset(dataset: DetectionDataset) -> None:
    """Write the manifest and the annotations into the data set's folder.

    The image files must be there already, under the samples' paths.
    """
    write_json(dataset.root / ANNOTATIONS, to_coco(dataset))
    with replacing(dataset.root / MANIFEST) as temporary:
        manifest_frame(dataset).to_parquet(temporary, index=False)


def manifest_frame(dataset: DetectionDataset) -> pd.DataFrame:
    """Return the manifest: a row a sample, the columns of `Sample` but the annotations."""
    rows = [
        {name: getattr(sample, name) for name in _COLUMNS} | {"path": sample.path.as_posix()}
        for sample in dataset
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"seed": "Int64"})


def load_dataset(root: Path, *, images: bool = True) -> DetectionDataset:
    """Return the data set that `save_dataset` wrote.

    Args:
        root: Its folder.
        images: Whether its images must be there; layouts have none.

    Raises:
        DatasetError: If the folder holds no manifest, it doesn't match the annotations, or an
            image is missing.
        DamagedFileError: If one of the files can't be read.
    """
    if not (root / MANIFEST).is_file() or not (root / ANNOTATIONS).is_file():
        raise DatasetError(
            f"{root} must hold {MANIFEST} and {ANNOTATIONS}, as a finished stage leaves them; "
            "run that stage first"
        )
    with naming_damage(root / MANIFEST):
        frame = pd.read_parquet(root / MANIFEST)
    coco = read_json(root / ANNOTATIONS)
    by_id = annotations_by_image(coco)
    by_file = {image["file_name"]: by_id[image["id"]] for image in coco["images"]}
    samples = []
    for row in frame.to_dict("records"):
        file_name = str(row["path"]).removeprefix("images/")
        if file_name not in by_file:
            raise DatasetError(f"{root / ANNOTATIONS} has no image {file_name!r} of the manifest")
        samples.append(_to_sample(row, by_file[file_name]))
    if images:
        _refuse_missing(root, samples)
    return DetectionDataset(root=root, class_names=class_names_of(coco), samples=tuple(samples))


def _refuse_missing(root: Path, samples: Sequence[Sample]) -> None:
    missing = [sample.path for sample in samples if not (root / sample.path).is_file()]
    if missing:
        raise DatasetError(
            f"{root} has lost {len(missing)} of its {len(samples)} images, {missing[0]} the first; "
            "remove the config.yaml of its stage and run the stage again, which makes them anew"
        )


def check_image(file: Path, sample: Sample) -> None:
    """Compare an image with the digest that its manifest has of it, if it has one.

    Args:
        file: Where the image is.
        sample: Its row.

    Raises:
        DatasetError: If it isn't there, or is another.
    """
    if not sample.sha256:
        return
    found = sha256_file(file) if file.is_file() else "no file"
    if found != sample.sha256:
        raise DatasetError(
            f"{file} isn't the image that its manifest names: expected sha256 {sample.sha256}, "
            f"got {found}; it was changed, cut or lost after its stage was done: remove that "
            "stage's folder and run it again"
        )


def _to_sample(row: dict[Hashable, Any], annotations: Annotations) -> Sample:
    seed = row["seed"]
    values = {str(name): value for name, value in row.items()} | {
        "path": Path(row["path"]),
        "seed": None if pd.isna(seed) else int(seed),
    }
    return Sample(annotations=annotations, **values)


def save_layouts(root: Path, layouts: list[Layout], class_names: tuple[str, ...]) -> None:
    """Write layouts in the same form as a data set, without images."""
    save_dataset(
        DetectionDataset(
            root=root,
            class_names=class_names,
            samples=tuple(
                Sample(
                    sample_id=layout.layout_id,
                    path=Path(f"{layout.layout_id}.png"),
                    width=layout.width,
                    height=layout.height,
                    annotations=layout.annotations,
                    layout_id=layout.layout_id,
                )
                for layout in layouts
            ),
        )
    )


def load_layouts(root: Path) -> list[Layout]:
    """Return the layouts that `save_layouts` wrote, in order."""
    return [
        Layout(sample.layout_id, sample.width, sample.height, sample.annotations)
        for sample in load_dataset(root, images=False)
    ]
