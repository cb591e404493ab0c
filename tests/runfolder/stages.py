"""Stages of a few bytes, for tests of their folders."""

from collections.abc import Callable, Mapping
from pathlib import Path

from synthdata.config import StageName, StageSection
from synthdata.config.layout import LayoutConfig
from synthdata.runfolder import StageResult, run_in_folder

Work = Callable[[], dict[str, object]]


def run_stage(
    out_dir: Path,
    *,
    stage: StageName = "layout",
    section: StageSection | None = None,
    inputs: Mapping[str, Path] | None = None,
    work: Work = dict,
    fingerprint: str = "",
) -> StageResult:
    """Run a stage that does nothing, or `work`, in a folder."""
    return run_in_folder(
        stage,
        section or LayoutConfig(),
        inputs=inputs or {},
        out_dir=out_dir,
        work=work,
        fingerprint=fingerprint,
    )


def jitter(value: float) -> LayoutConfig:
    return LayoutConfig(num_layouts=3, jitter=value)
