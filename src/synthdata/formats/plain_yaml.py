"""Plain YAML: mappings, lists, text, numbers, true, false and null, and nothing that acts.

Files that people share (configs, `data.yaml`) are read by this one loader. It has no tags, no
merge keys and no dates, and it interpolates nothing: `${HOME}` is six characters of text. A key
stands once in its mapping. Aliases repeat what an anchor names, as in `detector: *detector`, up
to a bound; a file of a few lines can't unfold to gigabytes. Numbers with an exponent and no
point, such as 1e-3, are numbers, as in YAML 1.2 and unlike PyYAML.
"""

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

from synthdata.formats.paths import is_text

_MAX_DEPTH: Final = 40
_MAX_UNFOLDED: Final = 10_000
_MAX_INTEGER_BITS: Final = 64
_MAX_MESSAGE: Final = 300
_TAG: Final = "tag:yaml.org,2002:"
# YAML 1.2's core schema, and PyYAML's underscores.
_FLOAT = re.compile(
    r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class PlainYamlError(ValueError):
    """A text isn't plain YAML.

    Attributes:
        problem: What is wrong, in one line.
        line: Where, from 1; None where it can't be told.
    """

    def __init__(self, source: str, problem: str, line: int | None) -> None:
        super().__init__(f"{source if line is None else f'{source}:{line}'}: {problem}")
        self.problem = problem
        self.line = line


def load_plain_yaml(text: str, *, source: str, aliases: bool = True) -> Any:  # noqa: ANN401
    """Return the value of a plain YAML document; None if it is empty.

    Args:
        text: One document.
        source: What an error calls it: a file's path.
        aliases: Whether anchors may be repeated by aliases.

    Raises:
        PlainYamlError: With the line, if it is no YAML, or YAML that isn't plain: a tag, a merge
            key, a key that stands twice or is no scalar, an alias that isn't allowed or unfolds
            to more than 10,000 values in all, more than 40 levels, a whole number of more than 64
            bits, or text that is no Unicode.
    """
    try:
        loader = _Loader(text, aliases=aliases)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise PlainYamlError(source, _short(problem), mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise PlainYamlError(source, _short(str(error)), None) from None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, less what isn't plain."""

    def __init__(self, text: str, *, aliases: bool) -> None:
        super().__init__(text)
        self._aliases = aliases
        self._depth = 0
        self._num_values = 0  # so far, aliases unfolded
        self._num_unfolded = 0  # of these, the ones that came by an alias
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            return self._compose_alias(parent, index, event)
        if getattr(event, "tag", None) is not None:
            raise _problem(f"expected plain YAML, got the tag {event.tag!r}; remove it", event)
        if self._depth == _MAX_DEPTH:
            raise _problem(f"expected at most {_MAX_DEPTH} levels of lists and mappings", event)
        before = self._num_values
        self._num_values += 1
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None:
            self._sizes[node] = self._num_values - before
        return node

    def _compose_alias(
        self, parent: yaml.Node | None, index: int, event: yaml.AliasEvent
    ) -> yaml.Node | None:
        if not self._aliases:
            raise _problem("expected no alias here; write the values out", event)
        node = super().compose_node(parent, index)
        size = None if node is None else self._sizes.get(node)
        if size is None:
            raise _problem("expected an anchor that doesn't hold its own alias", event)
        self._num_values += size
        self._num_unfolded += size
        if self._num_unfolded > _MAX_UNFOLDED:
            raise _problem(f"expected aliases of at most {_MAX_UNFOLDED} values in all", event)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        values: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem("expected a scalar as a key", key_node)
            key = self.construct_object(key_node)
            if key == "<<":
                raise _problem("expected no merge key (<<); write the values out", key_node)
            if key in values:
                raise _problem(f"the key {key!r} stands twice; remove one", key_node)
            values[key] = self.construct_object(value_node, deep=deep)
        return values

    def _construct_integer(self, node: yaml.ScalarNode) -> int:
        short = len(node.value) <= _MAX_INTEGER_BITS + 2  # 0b and a digit for each bit
        value = int(self.construct_yaml_int(node)) if short else None
        if value is None or value.bit_length() > _MAX_INTEGER_BITS:
            raise _problem(f"expected a whole number of at most {_MAX_INTEGER_BITS} bits", node)
        return value

    def _construct_text(self, node: yaml.ScalarNode) -> str:
        text = str(self.construct_scalar(node))
        if not is_text(text):
            raise _problem("expected Unicode text, got half of a surrogate pair", node)
        return text


def _problem(problem: str, place: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, place.start_mark)  # type: ignore[arg-type]


# A resolver is chosen by a scalar's first character. Dates and merge keys stay text.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in (f"{_TAG}timestamp", f"{_TAG}merge", f"{_TAG}float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor(f"{_TAG}int", _Loader._construct_integer)
_Loader.add_constructor(f"{_TAG}str", _Loader._construct_text)
