"""Reads a config: a YAML file with overrides, checked as a whole."""

import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from synthdata.config.experiment import ExperimentConfig
from synthdata.errors import ConfigError

logger = logging.getLogger(__name__)


def find_config(path: str | Path) -> Path:
    """Return the config file that `path` names: a file, or a bundled config's name.

    Raises:
        ConfigError: If there is neither.
    """
    given = Path(path)
    if given.is_file():
        return given
    folders = (Path(str(files("synthdata") / "configs")), Path(__file__).parents[3] / "configs")
    for folder in folders:
        bundled = folder / given.name
        if bundled.is_file() and given.parent in (Path(), Path("configs")):
            return bundled
    known = sorted({file.name for folder in folders for file in folder.glob("*.yaml")})
    raise ConfigError(f"there is no config file {path}; bundled ones are {', '.join(known)}")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Return the config in a YAML file, with overrides such as `train.epochs=5` applied.

    Args:
        path: A file, or the name of a bundled config such as `smoke.yaml`.
        overrides: Dotted keys with YAML values, applied in order.

    Raises:
        ConfigError: With every problem in one message.
    """
    source = find_config(path)
    try:
        merged = OmegaConf.merge(OmegaConf.load(source), OmegaConf.from_dotlist(list(overrides)))
        values: Any = OmegaConf.to_container(merged, resolve=True)
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise ConfigError(f"{source} with {list(overrides)} can't be read: {error}") from error
    try:
        config = ExperimentConfig.model_validate(values)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc']) or 'config'}: {item['msg']}"
            + ("" if item["type"] == "missing" else f" (got {_shorten(item['input'])})")
            for item in error.errors()
        ]
        problems = "problem" if len(lines) == 1 else "problems"
        raise ConfigError(f"{source} has {len(lines)} {problems}:\n" + "\n".join(lines)) from None
    if config.train.evaluation_split == "test":
        raise ConfigError(
            "train.evaluation_split is 'test', which no config sets, since each look at test is "
            "logged; leave it at val and call the command with --final"
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


def _shorten(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
