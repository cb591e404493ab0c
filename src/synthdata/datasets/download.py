"""One file over HTTP, taken up where it broke off."""

import logging
from pathlib import Path

import requests
from tqdm import tqdm

from synthdata.errors import DatasetError

_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 16

logger = logging.getLogger(__name__)


def download(url: str, path: Path) -> None:
    """Download a file to `path`; `<path>.part` holds what came until it is whole.

    Raises:
        DatasetError: If the server can't be reached or sends an error; what came is kept,
            and the same call goes on from there.
    """
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _fetch(url, part)
    except (requests.RequestException, OSError) as error:
        raise DatasetError(
            f"{url} can't be downloaded: {error}; call again to go on, or set SYNTHDATA_MIRROR to "
            "a folder that holds the data set"
        ) from error
    part.replace(path)


def _fetch(url: str, part: Path) -> None:
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # whole already, or of another file: start again
            _fetch(url, part)
            return
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        if have:
            logger.info("%s: %s", url, "resumed" if resumed else "the server can't resume, anew")
        have = have if resumed else 0
        length = int(response.headers.get("Content-Length", 0))
        total = have + length if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(
                desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                bar.update(file.write(chunk))
