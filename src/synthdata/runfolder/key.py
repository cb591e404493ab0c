"""A stage's key: the digest of all that decides its result.

That is its settings, without those marked as having no effect; its inputs' keys; what it reads
beside them; the code that decides; and the versions of the libraries that decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from synthdata.config.base import StageName, StageSection, has_effect, is_device
from synthdata.files import sha256_json
from synthdata.runfolder.code import DecidingCode, installed_code

# Settings whose values are folders or files, if they aren't ids on a hub.
_NAMES_FILES: Final = ("model", "controlnet", "weights")


@dataclass(frozen=True)
class KeyParts:
    """What a stage's key is made of.

    Attributes:
        stage: Its name.
        settings: Of its section, those that have an effect; see `effective_settings`.
        input_keys: Keys of its inputs, by name.
        fingerprint: Digest of what it reads beside them.
        code: The code and libraries that decide its result.
    """

    stage: StageName
    settings: Mapping[str, Any]
    input_keys: Mapping[str, str]
    fingerprint: str
    code: DecidingCode

    @property
    def digest(self) -> str:
        """The key."""
        return sha256_json(
            [
                self.stage, self.settings, self.input_keys, self.fingerprint, self.code.sha256,
                self.code.libraries, *_named_files(self.settings),
            ]
        )  # fmt: skip


def key_parts(
    stage: StageName, section: StageSection, input_keys: Mapping[str, str], fingerprint: str
) -> KeyParts:
    """Return what a stage's key is made of in this installation."""
    return KeyParts(
        stage, effective_settings(section), input_keys, fingerprint, installed_code(stage)
    )


def effective_settings(section: BaseModel) -> dict[str, Any]:
    """Return the settings that have an effect on a result, as JSON has them.

    A device is the one that `auto` stands for here, so that naming it changes no key.
    """
    settings = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if is_device(field):
            settings[name] = _resolved(value)
        elif has_effect(field):
            settings[name] = _effective(value)
    return settings


def _effective(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, BaseModel):
        return effective_settings(value)
    if isinstance(value, Mapping):
        return {str(name): _effective(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_effective(one) for one in value]
    return to_jsonable_python(value)


def _resolved(device: str) -> str:
    if device != "auto":
        return device
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def _named_files(value: Any, name: str = "") -> Iterator[tuple[str, int, int]]:  # noqa: ANN401
    """Yield name, size and time of the files that settings name: weights may change in place."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _named_files(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _named_files(part, name)
    elif isinstance(value, str) and name in _NAMES_FILES:
        path = Path(value)
        for file in [path, *sorted(path.rglob("*"))] if path.exists() else []:
            if file.is_file():
                yield str(file), file.stat().st_size, file.stat().st_mtime_ns
