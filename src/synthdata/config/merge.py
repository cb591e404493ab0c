"""One config over another: the rules of `extends` and of overrides, on plain values."""

from collections.abc import Mapping
from typing import Any

from synthdata.errors import ConfigError

Values = dict[str, Any]

# Sections whose entries belong together: a file that gives one gives all of it.
_WHOLE = ("pools", "arms", "contrasts")
# Sections in which null takes an entry away.
_REMOVABLE = ("pools", "arms")
_MAX_PARTS = 20


def merge_configs(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """Return `base` with the sections of `over` merged into it, key by key.

    Mappings are merged at any depth; lists and scalars replace. Top-level `pools`, `arms` and
    `contrasts` replace as a whole. A mapping whose `kind` is another than the base's replaces
    too, since the settings of one kind mean nothing to another.
    """
    whole = {name: over[name] for name in _WHOLE if name in over}
    return _merge(base, over) | whole


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    if "kind" in base and over.get("kind", base["kind"]) != base["kind"]:
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        below = base.get(key)
        merges = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below or {}, value) if merges else value
    return merged


def set_value(values: Mapping[str, Any], key: str, value: object) -> Values:
    """Return `values` with `value` at a dotted key, in the place of what stood there.

    Sections on the way that are missing or null become mappings. Nothing is edited in place,
    since values that an alias repeats are one object.

    Raises:
        ConfigError: If the key is empty, too deep, indexes a list, or runs through a scalar.
    """
    parts = key.split(".")
    if not all(parts):
        raise ConfigError("expected a dotted key such as train.epochs before the '='")
    if len(parts) > _MAX_PARTS:
        raise ConfigError(f"expected a key of at most {_MAX_PARTS} parts, got {len(parts)}")
    if "[" in key or "]" in key:
        raise ConfigError(f"{key} indexes a list; lists are set as a whole, such as seeds=[0, 1]")
    return _set(values, parts, 1, value)


def _set(values: Mapping[str, Any], parts: list[str], depth: int, value: object) -> Values:
    name = parts[depth - 1]
    if depth == len(parts):
        return {**values, name: value}
    below = values.get(name)
    path = ".".join(parts[:depth])
    if isinstance(below, list):
        raise ConfigError(f"{path} is a list; set it as a whole, such as {path}=[...]")
    if below is not None and not isinstance(below, dict):
        raise ConfigError(f"{path} is the value {str(below)[:60]!r}, and has no {parts[depth]}")
    return {**values, name: _set(below or {}, parts, depth + 1, value)}


def drop_removed(values: Mapping[str, Any]) -> Values:
    """Return `values` without the entries of `pools` and `arms` that are null."""
    return {
        name: {key: entry for key, entry in section.items() if entry is not None}
        if name in _REMOVABLE and isinstance(section, dict)
        else section
        for name, section in values.items()
    }
