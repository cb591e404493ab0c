"""What differs between a finished stage and what would be made now, in a reader's words."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from synthdata.config.base import StageSection
from synthdata.runfolder.key import KeyParts, effective_settings

_NOTHING: Final = "nothing"


def what_changed(record: Mapping[str, Any], section: StageSection, parts: KeyParts) -> list[str]:
    """Return what differs between a finished stage's record and what a key is made of now.

    Args:
        record: As `read_record` returns it.
        section: The stage's section now.
        parts: What its key is made of now.
    """
    changed = setting_differences(record["section"], section)
    then = {name: one["key"] for name, one in record.get("inputs", {}).items()}
    inputs = [name for name, _, _ in _differences(then, parts.input_keys)]
    if inputs:
        changed.append(f"its input {', '.join(inputs)}")
    if record.get("fingerprint") != parts.fingerprint:
        changed.append("what it reads beside its inputs")
    if record.get("code") != parts.code.sha256:
        changed.append("the code that decides its result")
    old, new = set(record.get("libraries", ())), set(parts.code.libraries)
    if old != new:
        gone, come = (", ".join(sorted(one)) or _NOTHING for one in (old - new, new - old))
        changed.append(f"libraries: {gone} there, {come} now")
    return changed or ["files that its settings name"]


def setting_differences(recorded: Mapping[str, Any], section: StageSection) -> list[str]:
    """Return the settings that differ, such as `jitter: 0.05 there, 0.07 in the config`.

    Args:
        recorded: The section that made a finished stage, as its record has it.
        section: The section now; settings without effect are left aside.
    """
    now = effective_settings(section)
    try:
        then = effective_settings(type(section).model_validate(recorded))
    except ValidationError:  # another version of synthdata had other settings
        then = dict(recorded)
    return [
        f"{name}: {old} there, {new} in the config"
        for name, old, new in _differences(dict(_flat(then)), dict(_flat(now)))
    ]


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    """Yield name, value then and value now of what differs."""
    for name in sorted({*then, *now}):
        old, new = then.get(name, _NOTHING), now.get(name, _NOTHING)
        if old != new:
            yield name, old, new


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for index, part in enumerate(value):
            yield from _flat(part, f"{name}[{index}]")
    else:
        yield name, value
