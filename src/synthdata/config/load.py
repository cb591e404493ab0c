"""Reads a config: a plain YAML file, what it extends, and overrides, checked as a whole."""

import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from synthdata.config.experiment import ExperimentConfig
from synthdata.config.merge import Values, drop_removed, merge_configs, set_value
from synthdata.errors import ConfigError
from synthdata.formats.paths import is_file
from synthdata.formats.plain_yaml import PlainYamlError, load_plain_yaml

_EXTENDS = "extends"
_PRESETS = "presets"  # bundled parts of configs, to extend
_MAX_EXTENDS = 8

logger = logging.getLogger(__name__)


def find_config(path: str | Path) -> Path:
    """Return the config file that `path` names: a file, or a bundled config's name.

    Raises:
        ConfigError: If there is neither.
    """
    given = Path(path)
    if is_file(given):
        return given
    folders = (Path(str(files("synthdata") / "configs")), Path(__file__).parents[3] / "configs")
    inside = given.relative_to("configs") if given.is_relative_to("configs") else given
    for folder in folders:
        if inside.parent in (Path(), Path(_PRESETS)) and is_file(folder / inside):
            return folder / inside
    known = sorted({file.name for folder in folders for file in folder.glob("*.yaml")})
    raise ConfigError(f"there is no config file {path}; bundled ones are {', '.join(known)}")


def _read_extended(source: Path, below: Sequence[Path] = ()) -> Values:
    """Return the values of a config file over those of the file that it extends, if any.

    Args:
        source: The file.
        below: The files that extend it, the first one first.
    """
    chain = [*below, source.resolve()]
    if source.resolve() in below:
        raise ConfigError(f"configs extend each other in a circle: {_arrows(chain)}; break it")
    if len(chain) > _MAX_EXTENDS:
        raise ConfigError(
            f"expected at most {_MAX_EXTENDS} configs that extend each other, got "
            f"{_arrows(chain)}; merge some"
        )
    values = _read_values(source)
    base = values.pop(_EXTENDS, None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{source}: extends must be the name of one config file, got {base!r}")
    beside = source.parent / base
    try:
        found = beside if is_file(beside) else find_config(base)
    except ConfigError as error:
        raise ConfigError(f"{source} extends {base}: {error}") from None
    return merge_configs(_read_extended(found, chain), values)


def _arrows(files: Sequence[Path]) -> str:
    return " -> ".join(str(file) for file in files)


def _read_values(source: Path) -> Values:
    """Return what stands in a config file.

    Raises:
        ConfigError: If it can't be read, or is no plain YAML mapping.
    """
    try:
        values = load_plain_yaml(source.read_text(encoding="utf-8-sig"), source=str(source))
    except PlainYamlError as error:
        raise ConfigError(f"a config is plain YAML, {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} can't be read, expected UTF-8 text: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(
            f"{source} must be a mapping of sections such as prepare, fit and train, got "
            f"{_shorten(values)}"
        )
    return values


def _override(values: Values, overrides: Sequence[str], source: Path) -> Values:
    """Return the values with the overrides applied, in order.

    Raises:
        ConfigError: If one isn't `KEY=VALUE` with a YAML value, or fits nowhere.
    """
    for override in overrides:
        try:
            values = _set_override(values, override)
        except (ConfigError, PlainYamlError) as error:
            raise ConfigError(
                f"{source} with the override {_shorten(override)} can't be read: {error}"
            ) from None
    return values


def _set_override(values: Values, override: str) -> Values:
    key, equals, text = override.partition("=")
    if not equals or key == _EXTENDS:  # a file extends another, an override doesn't
        raise ConfigError("expected KEY=VALUE such as train.epochs=5")
    return set_value(values, key, load_plain_yaml(text, source="its value"))


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Return the config in a YAML file, with overrides such as `train.epochs=5` applied.

    Files are plain YAML (see `synthdata.formats.plain_yaml`): `${HOME}` stays as it is. A file
    that says `extends: base.yaml` states what it changes: its sections are merged into those of
    the base, key by key, while `pools`, `arms` and `contrasts` replace the base's. The base is
    sought beside the file, then among the bundled ones, and may extend another.

    Args:
        path: A file, or the name of a bundled config such as `smoke.yaml`.
        overrides: Dotted keys with YAML values, applied in order; each replaces what stands
            there, a mapping as a whole. A null entry of `pools` or `arms` is taken away, as in
            `arms.mix=null`.

    Raises:
        ConfigError: With every problem in one message.
    """
    source = find_config(path)
    values = drop_removed(_override(_read_extended(source), overrides, source))
    try:
        config = ExperimentConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source} has {list_problems(error)}") from None
    if config.train.evaluation_split == "test" or config.train.shifted:
        raise ConfigError(
            "no config sets train.evaluation_split to 'test', nor train.shifted, since each look "
            "is logged; call the command with --final, or with --shifted for the shifted sets alone"
        )
    longer_side, seen = max(config.prepare.image_size or (0,)), config.train.detector.image_size
    if seen < longer_side:
        logger.warning(
            "train.detector.image_size is %d, the images' longer side is %d: detectors see them "
            "smaller than they are made",
            seen,
            longer_side,
        )
    return config


def list_problems(error: ValidationError) -> str:
    """Return the number of problems of a config, and a line for each."""
    lines = [
        f"  {'.'.join(str(part) for part in item['loc']) or 'config'}: {item['msg']}"
        + ("" if item["type"] == "missing" else f" (got {_shorten(item['input'])})")
        for item in error.errors()
    ]
    return "\n".join([f"{len(lines)} problem{'s' * (len(lines) > 1)}:", *lines])


def _shorten(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
