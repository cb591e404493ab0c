"""The config of an experiment: pydantic models, one a stage, and `load_config`."""

from synthdata.config.base import STAGES, StageName, StageSection
from synthdata.config.experiment import ExperimentConfig
from synthdata.config.load import find_config, load_config

__all__ = [
    "STAGES",
    "ExperimentConfig",
    "StageName",
    "StageSection",
    "find_config",
    "load_config",
]
