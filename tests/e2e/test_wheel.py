"""The built wheel, installed with its extras, works in an empty folder."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from commands import ROOT, Command

pytestmark = pytest.mark.slow


def lock_lines() -> list[str]:
    """The lock's lines that name a package, with its version and marker."""
    text = (ROOT / "requirements.lock").read_text()
    return [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]


def link_cuda_libraries(environment: Path) -> None:
    """Give an environment this one's CUDA libraries, gigabytes that no test on a CPU looks at."""
    source, target = (
        Path(sysconfig.get_path("purelib", vars={"base": base}))
        for base in (sys.prefix, str(environment))
    )
    for path in source.glob("nvidia*"):
        (target / path.name).symlink_to(path)


def test_the_wheel_runs_a_bundled_config_in_an_empty_folder(
    tmp_path: Path, command: Command
) -> None:
    command("python", "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    command("python", "-m", "venv", str(tmp_path / "env"), cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    link_cuda_libraries(tmp_path / "env")
    # The lock's versions, without their hashes, which pip would demand of the wheel too: what
    # is tested is the wheel, not tomorrow's releases.
    locked = [line.rstrip(" \\") for line in lock_lines()]
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(locked))
    command(
        "uv", "pip", "install", "--quiet", "--python", str(python),
        "--constraint", str(constraints), f"{wheel}[all]", cwd=tmp_path,
    )  # fmt: skip
    workspace = tmp_path / "empty"
    workspace.mkdir()
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    # One repetition of two arms has a part in every stage; the whole loop is another test's.
    command(
        str(python.parent / "synthdata"), "run", "smoke.yaml", "seeds=[0]", "score.alone=null",
        "filter.filters=[{kind: manifold, crop_size: 48}, {kind: memorisation}]",
        "arms.copy_paste=null", "arms.synthetic=null", "arms.synthetic_random_drop=null",
        "arms.oracle=null", "arms.synthetic_filtered.twin=null",
        "contrasts=[[synthetic_filtered,real]]", cwd=workspace, env={"PATH": path},
    )  # fmt: skip
    assert (workspace / "runs" / "smoke" / "report" / "report.html").is_file()
