"""`dvc repro` reproduces the stages of the config that `params.yaml` names."""

import re
from pathlib import Path

import pytest

from commands import Command

pytestmark = pytest.mark.slow


def test_repro_then_nothing_to_do(clone: Path, command: Command) -> None:
    (clone / "params.yaml").write_text("config: configs/smoke.yaml\nname: smoke\nseeds: [0, 1]\n")
    # Every stage of both repetitions; two arms tell of DVC what six would.
    config = clone / "configs" / "smoke.yaml"
    text = config.read_text()
    for arm in ("copy_paste", "synthetic", "synthetic_random_drop", "oracle"):
        text, changed = re.subn(rf"(?m)^  {arm}: \{{(extra|real): .*\n", "", text)
        assert changed == 1, arm
    others = r"^    twin: .*\n|^  - \[.*, (copy_paste|synthetic_random_drop)\]\n"
    text = re.sub(f"(?m){others}", "", text)
    config.write_text(text)
    env = {"DVC_NO_ANALYTICS": "1"}
    if not (clone / ".dvc").is_dir():
        command("dvc", "init", "-q", cwd=clone, env=env)
    command("dvc", "repro", cwd=clone, env=env)
    assert (clone / "runs" / "smoke" / "report" / "report.html").is_file()
    versions = clone / "data" / "versions" / "smoke"
    assert not list(versions.rglob("*.dvc")), "inside repro DVC holds the outs itself"
    again = command("dvc", "repro", cwd=clone, env=env)
    assert "Data and pipelines are up to date." in again.stdout + again.stderr
    assert "Running stage" not in again.stdout
