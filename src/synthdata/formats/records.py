"""What a parser reads: images with their boxes as they stand in the files, and what is wrong.

Parsers never raise on bad content; they note it as a `Problem` and go on, so that one pass
finds everything. `assemble` turns the records into a data set, or raises with the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from synthdata.formats.images import ImageFileError, ImageHeader, read_header
from synthdata.formats.paths import PathEscapeError, is_file, path_inside
from synthdata.samples import IntArray, Split

Level = Literal["error", "warning"]
BoxArray = npt.NDArray[np.float64]
_MAX_MESSAGE = 1_000


@dataclass(frozen=True)
class Problem:
    """One thing wrong, or worth knowing, in a data set.

    Attributes:
        level: Errors stop `prepare`; warnings don't.
        code: Its kind, for programs.
        file: Relative to the data set's folder.
        line: From 1; None where it concerns the whole file.
        message: What was expected, what came, what to do.
    """

    level: Level
    code: str
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return _visible(f"{place}: {self.level}: {self.message} [{self.code}]")


def _visible(text: str) -> str:
    """Return a text as one line for a terminal, control characters as escapes.

    They come from names and contents of files, and could move the cursor or hide a line.
    """
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def _bounded(message: str) -> str:
    """Return a message without its middle where it is long: the advice stands at its end."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return f"{message[: _MAX_MESSAGE // 2]} […] {message[-_MAX_MESSAGE // 2 :]}"


def errors_in(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems that aren't warnings."""
    return [problem for problem in problems if problem.level == "error"]


def describe(problems: Sequence[Problem], *, limit: int = 20) -> str:
    """Return the first problems, one a line, and how many more there are."""
    lines = [f"  {problem}" for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more; `synthdata data check` lists all")
    return "\n".join(lines)


@dataclass(frozen=True)
class RawImage:
    """One image and its labels, not yet trusted.

    Attributes:
        path: Relative to the data set's folder.
        split: The official one; "train" where the data set has none.
        header: Size and orientation; None if the file can't be read.
        xyxy: `(N, 4)` float64, pixels of the upright image.
        class_id: `(N,)`; -1 for a class that isn't known.
        label_file: Where the boxes stand, relative to the data set's folder.
        lines: `(N,)` their lines.
    """

    path: Path
    split: Split
    header: ImageHeader | None
    xyxy: BoxArray
    class_id: IntArray
    label_file: str
    lines: tuple[int | None, ...]


@dataclass
class RawDataset:
    """What a parser collects.

    Attributes:
        root: The data set's folder.
        class_names: In the order of the class ids.
        images: Each file once.
        problems: What parsing found.
    """

    root: Path
    class_names: tuple[str, ...] = ()
    images: list[RawImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def error(self, code: str, file: str | Path, message: str, line: int | None = None) -> None:
        """Note an error."""
        self._note("error", code, file, message, line)

    def warning(self, code: str, file: str | Path, message: str, line: int | None = None) -> None:
        """Note a warning."""
        self._note("warning", code, file, message, line)

    def _note(
        self, level: Level, code: str, file: str | Path, message: str, line: int | None
    ) -> None:
        name = Path(file).as_posix().encode("utf-8", "backslashreplace").decode()
        self.problems.append(Problem(level, code, name, line, _bounded(message)))

    def inside(self, named: str, *, base: Path, file: str, line: int | None = None) -> Path | None:
        """Return the path that a file names, relative to the root, or note that it leaves it.

        Args:
            named: As it stands in the file.
            base: Folder that it is relative to, itself relative to the root.
            file: The file that names it.
            line: Where.
        """
        try:
            return path_inside(self.root, base, named)
        except PathEscapeError as error:
            self.error("path_escape", file, str(error), line)
            return None

    def header(self, path: Path) -> ImageHeader | None:
        """Return an image's header, or note why it can't be read. Decodes nothing."""
        try:
            path_inside(self.root, Path(), path.as_posix())
            return read_header(self.root / path)
        except PathEscapeError as error:
            self.error("path_escape", path, str(error))
        except ImageFileError as error:
            self.error(error.code, path, str(error))
        return None

    def has(self, path: Path) -> bool:
        """Return whether anything is there to read, be it no file or not readable.

        Reading it notes what is wrong with it.
        """
        try:
            (self.root / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a folder that may not be entered
            return True
        return True

    def read_bytes(self, path: Path) -> bytes | None:
        """Return a file's content, or note why it can't be read.

        Only a regular file is opened: a pipe would wait for a writer, a device never ends.
        """
        try:
            path_inside(self.root, Path(), path.as_posix())
            if is_file(self.root / path):
                return (self.root / path).read_bytes()
            self.error(
                "file_unreadable",
                path,
                "expected a file, got a folder, a pipe, a device or a broken link; replace it",
            )
        except PathEscapeError as error:
            self.error("path_escape", path, str(error))
        except OSError as error:
            self.error("file_unreadable", path, f"expected a readable file, got: {error}")
        return None

    def read_text(self, path: Path) -> str | None:
        """Return a text file's content, or note that it isn't UTF-8 text."""
        content = self.read_bytes(path)
        try:
            return None if content is None else content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.error("file_unreadable", path, f"expected UTF-8 text, got: {error}; convert it")
        return None
