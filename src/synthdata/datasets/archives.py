"""Data sets that are files of a GitHub repository at one commit, known by a checksum."""

import hashlib
import logging
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from synthdata.datasets.download import download
from synthdata.errors import DatasetError
from synthdata.files import replacing_dir, sha256_file

MIRROR = "SYNTHDATA_MIRROR"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A data set in a repository.

    Attributes:
        name: Its folder in `data/raw/` and in the mirror.
        title: For messages.
        repository: `owner/name` on GitHub.
        commit: Which state of it.
        parts: Its folders and files; what else lies there doesn't count.
        sha256: `tree_sha256` of it.
        max_bytes: What is unpacked is smaller.
        place: Tells by a file's path in the repository where it goes; None leaves it out.
        finish: Brings the unpacked or copied folder into its final form; None leaves it so.
    """

    name: str
    title: str
    repository: str
    commit: str
    parts: tuple[str, ...]
    sha256: str
    max_bytes: int
    place: Callable[[PurePosixPath], Path | None]
    finish: Callable[[Path], None] | None = None

    @property
    def url(self) -> str:
        """Where GitHub packs it."""
        return f"https://github.com/{self.repository}/archive/{self.commit}.tar.gz"

    def fingerprint(self, raw_dir: Path) -> str:
        """Return the digest of what is there; where nothing is, of what will be."""
        folder = raw_dir / self.name
        return self.tree_sha256(folder) if folder.is_dir() else self.sha256

    def tree_sha256(self, folder: Path) -> str:
        """Return the digest of the data set's files: sorted relative paths and their digests.

        Hidden files, which file managers leave behind, don't count.
        """
        roots = [folder / part for part in self.parts]
        paths = [path for root in roots for path in [root, *root.rglob("*")]]
        files = {p.relative_to(folder).as_posix(): p for p in paths if p.is_file()}
        digest = hashlib.sha256()
        for name in sorted(files):
            if not files[name].name.startswith("."):
                digest.update(f"{name} {sha256_file(files[name])}\n".encode())
        return digest.hexdigest()


def fetch_archive(archive: Archive, raw_dir: Path, *, url: str = "") -> Path:
    """Copy or download a data set, unless it is there; return its folder.

    The folder that the environment variable `SYNTHDATA_MIRROR` names is used first, where it
    has the data set. A partial download is taken up where it broke off, if the server can.

    Args:
        archive: Which one.
        raw_dir: Gets `<name>/`.
        url: A `.tar.gz` of the repository; empty for GitHub's.

    Raises:
        DatasetError: If it can't be had, or is not the data set that was expected.
    """
    folder = raw_dir / archive.name
    with locked(folder):
        if not folder.is_dir():
            _get(archive, folder, url or archive.url)
        _verify(archive, folder)
    return folder


def locked(folder: Path) -> FileLock:
    """Return a lock on a folder that may not be there yet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _get(archive: Archive, folder: Path, url: str) -> None:
    mirror = Path(os.environ[MIRROR]) / archive.name if os.environ.get(MIRROR) else None
    if mirror is not None and mirror.is_dir():
        logger.info("%s: copied from the mirror %s", archive.name, mirror)
        with replacing_dir(folder) as temporary:
            for part in archive.parts:
                _copy(mirror / part, temporary / part)
            _finish(archive, temporary, origin=str(mirror))
        return
    packed = folder.with_name(f"{archive.name}-{archive.commit[:12]}.tar.gz")
    download(url, packed)
    try:
        with replacing_dir(folder) as temporary:
            _unpack(archive, packed, temporary)
            _finish(archive, temporary, origin=url)
    finally:
        packed.unlink(missing_ok=True)  # a wrong one isn't tried again


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    elif source.is_file():
        shutil.copyfile(source, target)


def _unpack(archive: Archive, packed: Path, folder: Path) -> None:
    """Write the data set's own files from the repository's archive; nothing else in it counts.

    Raises:
        DatasetError: If it is no archive, or too large to be that data set.
    """
    size = 0
    try:
        with tarfile.open(packed, "r:gz") as tar:
            for member in tar:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                name = archive.place(path) if ".." not in path.parts else None
                if not member.isfile() or name is None:
                    continue
                size += member.size
                if size > archive.max_bytes:
                    raise DatasetError(
                        f"expected {archive.title}, {packed} holds over {archive.max_bytes} bytes"
                    )
                content = tar.extractfile(member)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)  # type: ignore[arg-type]  # a file has content
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DatasetError(
            f"expected a .tar.gz of {archive.title}, {packed} is none: {error}"
        ) from error


def _finish(archive: Archive, folder: Path, *, origin: str) -> None:
    if archive.finish is not None:
        archive.finish(folder)
    _verify(archive, folder, origin=origin)


def _verify(archive: Archive, folder: Path, *, origin: str = "") -> None:
    found = archive.tree_sha256(folder)
    if found != archive.sha256:
        advice = f"{origin} holds other files" if origin else f"remove {folder} and fetch it again"
        raise DatasetError(
            f"expected {archive.title} at {archive.commit[:7]} with the checksum {archive.sha256}, "
            f"got {found}; {advice}"
        )
