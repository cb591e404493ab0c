"""`synthdata data fetch`: the data sets that synthdata knows, into `data/raw/`."""

from collections.abc import Mapping
from pathlib import Path

from synthdata.config.sources import DigitsSource
from synthdata.datasets.archives import Archive, fetch_archive, locked
from synthdata.datasets.blood_smears import BCCD, TXL_PBC
from synthdata.datasets.digits import digits_key, write_digits
from synthdata.errors import DatasetError

_ARCHIVES: Mapping[str, Archive] = {archive.name: archive for archive in (BCCD, TXL_PBC)}
DATASETS: Mapping[str, str] = {
    "digits": "scenes of handwritten digits on paper, made from scikit-learn's 1,797 real scans; "
    "3 classes by default, no download (CC BY 4.0)",
    "bccd": "364 blood-smear photographs with RBC, WBC and Platelets, splits of 205, 87 and 72 "
    f"images; github.com/{BCCD.repository} at {BCCD.commit[:7]} (MIT)",
    "txl-pbc": "blood smears of two other laboratories, 150 photographs each, with BCCD's classes, "
    f"for shifted sets; github.com/{TXL_PBC.repository} at {TXL_PBC.commit[:7]} (MIT)",
}


def fetch(name: str, raw_dir: Path) -> Path:
    """Fetch a data set by name, with its default settings; return its folder.

    Raises:
        DatasetError: If the name isn't known, or fetching failed.
    """
    if name == "digits":
        return fetch_digits(DigitsSource(kind="digits"), raw_dir)
    if name in _ARCHIVES:
        return fetch_archive(_ARCHIVES[name], raw_dir)
    raise DatasetError(f"expected one of {', '.join(DATASETS)}, got {name!r}")


def digits_dir(source: DigitsSource, raw_dir: Path) -> Path:
    """Return the folder that holds, or will hold, a config's scenes."""
    return raw_dir / f"digits-{digits_key(source)[:12]}"


def fetch_digits(source: DigitsSource, raw_dir: Path) -> Path:
    """Make the digits scenes, unless they are there; return their folder (COCO form)."""
    folder = digits_dir(source, raw_dir)
    with locked(folder):
        if not folder.is_dir():
            write_digits(source, folder)
    return folder
