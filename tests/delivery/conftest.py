"""A small run, finished by the command line, whose detectors are delivered."""

import shutil
from pathlib import Path

import pytest

from commands import Command
from synthdata.delivery.choice import TrainedDetector, open_detector

# Val has 64x48 pixels, as train has; the shifted set has 256x192.
OVERRIDES = (
    "name=tiny",
    "seeds=[0]",
    "arms={real: {role: reference}, real_balanced: {sampling: instance_balanced, role: free}}",
    "contrasts=[[real_balanced, real]]",
    # As if a search had found the balanced arm to be better: it is advised, and so delivered.
    "report.selection={real: {100: 0.1}, real_balanced: {100: 0.5}}",
    "pools={}",
    "version.dvc=false",
    "evaluation.shifted={kraft: {source: {kind: digits, paper: kraft}, scale: 2, max_images: 2}}",
)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    folder = tmp_path_factory.mktemp("delivery")
    command("synthdata", "run", "smoke.yaml", *OVERRIDES, "--shifted", cwd=folder)
    return folder


@pytest.fixture
def run_dir(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(workspace / "runs" / "tiny", tmp_path / "own" / "runs" / "tiny"))


@pytest.fixture(scope="session")
def detector(workspace: Path) -> TrainedDetector:
    return open_detector(workspace / "runs" / "tiny")
