"""`dvc repro` reproduces the stages of the config that `params.yaml` names."""

from pathlib import Path

import pytest
import yaml

from commands import Command

pytestmark = pytest.mark.slow


def test_repro_then_nothing_to_do(clone: Path, command: Command) -> None:
    # Every stage of both repetitions; more arms, filters and judges would tell of DVC no more.
    path = clone / "configs" / "smoke.yaml"
    config = yaml.safe_load(path.read_text())
    config["arms"] = {arm: config["arms"][arm] for arm in ("real", "synthetic_filtered")}
    del config["arms"]["synthetic_filtered"]["twin"]
    config["contrasts"] = [["synthetic_filtered", "real"]]
    config["score"] |= {"alone": None, "fidelity": None}
    config["filter"]["filters"] = [{"kind": "memorisation"}]
    path.write_text(yaml.safe_dump(config))
    (clone / "params.yaml").write_text("config: configs/smoke.yaml\nname: smoke\nseeds: [0, 1]\n")
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
