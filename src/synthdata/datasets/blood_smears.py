"""Blood smears: BCCD, and TXL-PBC's images of two other laboratories.

TXL-PBC (L. Gan and X. Li, arXiv:2407.13214) labels images of four data sets anew, BCCD's among
them. Taken here are those of its val and test splits that are of Raabin-WBC or of PBC, which the
size of an image tells. No image of BCCD is among them.
"""

import shutil
from pathlib import Path, PurePosixPath

import yaml

from synthdata.config.sources import Laboratory
from synthdata.datasets.archives import Archive
from synthdata.errors import DatasetError
from synthdata.formats.images import ImageFileError, read_header

BCCD_CLASSES = ("RBC", "WBC", "Platelets")
_BCCD_PARTS = ("Annotations", "ImageSets", "JPEGImages", "LICENSE")
_TXL_PBC_CLASSES = ("WBC", "RBC", "Platelets")
_SPLITS = ("val", "test")
_LABORATORY_OF: dict[tuple[int, int], Laboratory] = {
    (575, 575): "raabin", (360, 363): "pbc", (366, 369): "pbc",
}  # fmt: skip


def _place_bccd(path: PurePosixPath) -> Path | None:
    """Return where `BCCD/<part>/...` and `LICENSE` go."""
    if path.parts == ("LICENSE",):
        return Path("LICENSE")
    if path.parts[:1] == ("BCCD",) and path.parts[1:2] and path.parts[1] in _BCCD_PARTS:
        return Path(*path.parts[1:])
    return None


def _place_txl_pbc(path: PurePosixPath) -> Path | None:
    """Return where `TXL_PBC/<images or labels>/<split>/<file>` goes until it is sorted."""
    match path.parts:
        case ("TXL_PBC", "images" | "labels", split, _) if split in _SPLITS:
            return Path("unsorted", *path.parts[1:])
    return None


def _finish_txl_pbc(folder: Path) -> None:
    """Make a YOLO folder of each laboratory's images, and drop what else was unpacked.

    Raises:
        DatasetError: If an image can't be read.
    """
    unsorted = folder / "unsorted"
    for image in sorted(unsorted.glob("images/*/*")):
        laboratory = _laboratory_of(image)
        if laboratory is not None:
            label = Path("labels", image.parent.name, f"{image.stem}.txt")
            for name in (image.relative_to(unsorted), label):
                if not (unsorted / name).is_file():
                    continue  # the checksum will tell
                (folder / laboratory / name).parent.mkdir(parents=True, exist_ok=True)
                (unsorted / name).replace(folder / laboratory / name)
    shutil.rmtree(unsorted, ignore_errors=True)
    for laboratory in sorted(set(_LABORATORY_OF.values())):
        values = {split: f"images/{split}" for split in _SPLITS} | {"names": [*_TXL_PBC_CLASSES]}
        (folder / laboratory).mkdir(exist_ok=True)
        text = yaml.safe_dump(values, sort_keys=False)
        (folder / laboratory / "data.yaml").write_text(text, encoding="utf-8")


def _laboratory_of(image: Path) -> Laboratory | None:
    try:
        header = read_header(image)
    except ImageFileError as error:
        raise DatasetError(f"{image.name} of TXL-PBC can't be read: {error}") from error
    return _LABORATORY_OF.get((header.width, header.height))


BCCD = Archive(
    name="bccd",
    title="BCCD",
    repository="Shenggan/BCCD_Dataset",
    commit="d272fb14cdff6e473fafeeeba32aba5f560e9e43",
    parts=_BCCD_PARTS,
    sha256="5f5a6b00066a74ecbf6e2fd6b98dea243f9b517fc6ca2a5c84e23c1b0fd39a5e",
    max_bytes=64 * 2**20,  # unpacked; the real ones are 8 MB
    place=_place_bccd,
)
TXL_PBC = Archive(
    name="txl-pbc",
    title="TXL-PBC",
    repository="lugan113/TXL-PBC_Dataset",
    commit="bcafb7af67467b02b3bac19a95d0e43ebcc5b983",
    parts=("raabin", "pbc"),
    sha256="e3c434e83d9a61900e72158f36f177a26dc50257404e89f436d11fdf000a83b9",
    max_bytes=256 * 2**20,  # val and test unpacked, of which 10 MB are kept
    place=_place_txl_pbc,
    finish=_finish_txl_pbc,
)
