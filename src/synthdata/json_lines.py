"""Logs of one JSON object per line that survive a power cut.

A row is on the disk when `append_row` returns. A cut in the middle of it leaves a torn last line,
which is left out with a warning; any other damage is an error, since a log that forgets hides what
was done.
"""

import logging
import os
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from synthdata.errors import RunError
from synthdata.files import sync_path

Row = TypeVar("Row", bound=BaseModel)

logger = logging.getLogger(__name__)


def append_row(path: Path, row: BaseModel) -> None:
    """Append one row to a log, and wait until it is on the disk.

    A torn last line is removed first, so that it doesn't run into the new row. Several processes
    may append at the same time.

    Args:
        path: The log; it and its folder are made where they are missing.
        row: The values.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        is_new = not path.exists()
        with path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            whole = _whole_part(path, content)
            if len(whole) < len(content):
                file.truncate(len(whole))
            start = b"\n" if whole and not whole.endswith(b"\n") else b""
            file.write(start + row.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_path(path.parent)


def read_rows(path: Path, model: type[Row]) -> list[Row]:
    """Return the rows of a log, oldest first; none where there is no file.

    Args:
        path: The log.
        model: What a row holds; values that it doesn't name are left out.

    Raises:
        RunError: If a line can't be read, unless it is the last and torn.
    """
    if not path.is_file():
        return []
    lines = _whole_part(path, path.read_bytes()).removesuffix(b"\n").split(b"\n")
    if lines == [b""]:
        return []
    return [_read_row(path, number, line, model) for number, line in enumerate(lines, start=1)]


def _read_row(path: Path, number: int, line: bytes, model: type[Row]) -> Row:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(
            f"{path}, line {number}: expected one JSON object per line with "
            f"{', '.join(model.model_fields)}; {where and f'{where}: '}{first['msg']}. Restore the "
            "file from a copy, or correct this line by hand"
        ) from error


def _whole_part(path: Path, content: bytes) -> bytes:
    """Return a log's content without a torn last line."""
    start = content.removesuffix(b"\n").rfind(b"\n") + 1
    last = content[start:]
    if not last or _is_json(last):
        return content
    logger.warning(
        "%s: the last line (%d bytes) was not written to its end and is ignored; its writer was "
        "cut off, run that command again",
        path,
        len(last),
    )
    return content[:start]


def _is_json(line: bytes) -> bool:
    try:
        from_json(line)
    except ValueError:
        return False
    return True
