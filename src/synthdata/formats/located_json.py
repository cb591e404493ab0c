"""JSON whose array entries know their line, so that a problem can be pointed at."""

from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # documented in its source only
from typing import Any


@dataclass(frozen=True)
class LocatedObject:
    """A JSON object.

    Attributes:
        values: Its members.
        lines: For each member that is an array, the line (from 1) that each entry begins on.
    """

    values: dict[str, Any]
    lines: dict[str, list[int]]


def parse_located(text: str) -> LocatedObject:
    """Return the JSON object in a text, with the lines of its arrays' entries.

    Entries are decoded one by one by the standard decoder, so that this is about as fast as
    `json.loads`. NaN and Infinity are read as numbers, as Python writes them.

    Raises:
        JSONDecodeError: If the text is not one JSON object, nests too deeply for Python's
            decoder, or holds a whole number of thousands of digits.
    """
    reader = _Reader(text)
    values: dict[str, Any] = {}
    lines: dict[str, list[int]] = {}
    reader.expect("{")
    while not reader.skip("}"):
        if values:
            reader.expect(",")
        key = reader.value()
        if not isinstance(key, str):
            raise JSONDecodeError("Expecting a member's name", text, reader.position)
        reader.expect(":")
        if reader.peek() == "[":
            values[key], lines[key] = reader.array()
        else:
            values[key] = reader.value()
    if reader.peek():
        raise JSONDecodeError("Extra data", text, reader.position)
    return LocatedObject(values, lines)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._decoder = JSONDecoder()
        self._counted_to, self._line = 0, 1

    def peek(self) -> str:
        """Return the next character that isn't white space; empty at the end."""
        self.position = WHITESPACE.match(self.text, self.position).end()
        return self.text[self.position : self.position + 1]

    def skip(self, character: str) -> bool:
        found = self.peek() == character
        self.position += found
        return found

    def expect(self, character: str) -> None:
        if not self.skip(character):
            raise JSONDecodeError(f"Expecting {character!r}", self.text, self.position)

    def value(self) -> Any:  # noqa: ANN401  # JSON is any tree of values
        self.peek()
        try:
            value, self.position = self._decoder.raw_decode(self.text, self.position)
        except JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:  # digits; brackets
            raise JSONDecodeError(str(error), self.text, self.position) from None
        return value

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.position)
        self._counted_to = self.position
        return self._line

    def array(self) -> tuple[list[Any], list[int]]:
        values: list[Any] = []
        lines: list[int] = []
        self.expect("[")
        while not self.skip("]"):
            if values:
                self.expect(",")
            self.peek()
            lines.append(self.line())
            values.append(self.value())
        return values, lines
