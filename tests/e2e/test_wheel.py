"""The built wheel, installed with its extras, works in an empty folder."""

import os
from pathlib import Path

import pytest

from conftest import ROOT, Command

pytestmark = pytest.mark.slow


def test_the_wheel_runs_a_bundled_config_in_an_empty_folder(
    tmp_path: Path, command: Command
) -> None:
    command("python", "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    command("python", "-m", "venv", str(tmp_path / "env"), cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    # The lock's versions as constraints: what is tested is the wheel, not tomorrow's releases.
    command("uv", "pip", "install", "--python", str(python), f"{wheel}[all]",
            "--constraint", str(ROOT / "requirements.lock"), cwd=tmp_path)  # fmt: skip
    workspace = tmp_path / "empty"
    workspace.mkdir()
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command(
        str(python.parent / "synthdata"), "run", "smoke.yaml", cwd=workspace, env={"PATH": path}
    )
    assert (workspace / "runs" / "smoke" / "report" / "report.html").is_file()
