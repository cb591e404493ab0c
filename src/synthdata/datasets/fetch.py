"""`synthdata data fetch`: the data sets that synthdata knows, into `data/raw/`."""

import hashlib
import logging
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from filelock import FileLock

from synthdata.config.sources import DigitsSource
from synthdata.datasets.digits import digits_key, write_digits
from synthdata.datasets.download import download
from synthdata.errors import DatasetError
from synthdata.files import replacing_dir, sha256_file

MIRROR = "SYNTHDATA_MIRROR"
BCCD_CLASSES = ("RBC", "WBC", "Platelets")
_BCCD_COMMIT = "d272fb14cdff6e473fafeeeba32aba5f560e9e43"
BCCD_URL = f"https://github.com/Shenggan/BCCD_Dataset/archive/{_BCCD_COMMIT}.tar.gz"
BCCD_TREE_SHA256 = "5f5a6b00066a74ecbf6e2fd6b98dea243f9b517fc6ca2a5c84e23c1b0fd39a5e"
_BCCD_PARTS = ("Annotations", "ImageSets", "JPEGImages", "LICENSE")
_MAX_BYTES = 64 * 2**20  # unpacked; the real ones are 8 MB

logger = logging.getLogger(__name__)


DATASETS: Mapping[str, str] = {
    "digits": "scenes of handwritten digits on paper, made from scikit-learn's 1,797 real scans; "
    "3 classes by default, no download (CC BY 4.0)",
    "bccd": "364 blood-smear photographs with RBC, WBC and Platelets, splits of 205, 87 and 72 "
    f"images; github.com/Shenggan/BCCD_Dataset at {_BCCD_COMMIT[:7]} (MIT)",
}


def fetch(name: str, raw_dir: Path) -> Path:
    """Fetch a data set by name, with its default settings; return its folder.

    Raises:
        DatasetError: If the name isn't known, or fetching failed.
    """
    if name == "digits":
        return fetch_digits(DigitsSource(kind="digits"), raw_dir)
    if name == "bccd":
        return fetch_bccd(raw_dir)
    raise DatasetError(f"expected one of {', '.join(DATASETS)}, got {name!r}")


def digits_dir(source: DigitsSource, raw_dir: Path) -> Path:
    """Return the folder that holds, or will hold, a config's scenes."""
    return raw_dir / f"digits-{digits_key(source)[:12]}"


def fetch_digits(source: DigitsSource, raw_dir: Path) -> Path:
    """Make the digits scenes, unless they are there; return their folder (COCO form)."""
    folder = digits_dir(source, raw_dir)
    with _locked(folder):
        if not folder.is_dir():
            write_digits(source, folder)
    return folder


def fetch_bccd(raw_dir: Path, *, url: str = BCCD_URL) -> Path:
    """Copy or download BCCD, unless it is there; return its folder (Pascal VOC form).

    The folder that the environment variable `SYNTHDATA_MIRROR` names is used first, where it
    has `bccd/`. A partial download is taken up where it broke off, if the server can.

    Args:
        raw_dir: Gets `bccd/`.
        url: A `.tar.gz` of the repository.

    Raises:
        DatasetError: If it can't be had, or is not the data set that was expected.
    """
    folder = raw_dir / "bccd"
    with _locked(folder):
        if not folder.is_dir():
            _get_bccd(folder, url)
        _verify(folder)
    return folder


def _get_bccd(folder: Path, url: str) -> None:
    mirror = Path(os.environ[MIRROR]) / "bccd" if os.environ.get(MIRROR) else None
    if mirror is not None and mirror.is_dir():
        logger.info("bccd: copied from the mirror %s", mirror)
        with replacing_dir(folder) as temporary:
            for part in _BCCD_PARTS:
                _copy(mirror / part, temporary / part)
            _verify(temporary, origin=str(mirror))
        return
    archive = folder.with_name(f"bccd-{_BCCD_COMMIT[:12]}.tar.gz")
    download(url, archive)
    try:
        with replacing_dir(folder) as temporary:
            _unpack(archive, temporary)
            _verify(temporary, origin=url)
    finally:
        archive.unlink(missing_ok=True)  # a wrong one isn't tried again


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    elif source.is_file():
        shutil.copyfile(source, target)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the data set's own files from the repository's archive; nothing else in it counts.

    Names are rebuilt from the part they belong to, so that no entry lands elsewhere.

    Raises:
        DatasetError: If it is no archive, or too large to be that data set.
    """
    size = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = _name_in_tree(member.name)
                if not member.isfile() or name is None:
                    continue
                size += member.size
                if size > _MAX_BYTES:
                    raise DatasetError(f"expected BCCD, {archive} holds over {_MAX_BYTES} bytes")
                content = tar.extractfile(member)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)  # type: ignore[arg-type]  # a file has content
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DatasetError(f"expected a .tar.gz of BCCD, {archive} is none: {error}") from error


def _name_in_tree(member: str) -> Path | None:
    """Return where a member `<repository>/BCCD/<part>/...` or `<repository>/LICENSE` goes."""
    parts = PurePosixPath(member).parts[1:]
    if parts == ("LICENSE",):
        return Path("LICENSE")
    if parts[:1] == ("BCCD",) and parts[1:2] and parts[1] in _BCCD_PARTS and ".." not in parts:
        return Path(*parts[1:])
    return None


def tree_sha256(folder: Path) -> str:
    """Return the digest of the data set's files: sorted relative paths and their digests.

    Hidden files, which file managers leave behind, don't count.
    """
    paths = [path for part in _BCCD_PARTS for path in [folder / part, *(folder / part).rglob("*")]]
    files = {p.relative_to(folder).as_posix(): p for p in paths if p.is_file()}
    digest = hashlib.sha256()
    for name in sorted(files):
        if not files[name].name.startswith("."):
            digest.update(f"{name} {sha256_file(files[name])}\n".encode())
    return digest.hexdigest()


def _verify(folder: Path, *, origin: str = "") -> None:
    found = tree_sha256(folder)
    if found != BCCD_TREE_SHA256:
        advice = f"{origin} holds other files" if origin else f"remove {folder} and fetch it again"
        raise DatasetError(
            f"expected BCCD at {_BCCD_COMMIT[:7]} with the checksum {BCCD_TREE_SHA256}, got "
            f"{found}; {advice}"
        )


def _locked(folder: Path) -> FileLock:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f".{folder.name}.lock"))
