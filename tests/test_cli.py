"""What the command line prints, where, and with which exit status."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from builders import write_dataset
from commands import ROOT, Command
from synthdata.manifest import load_dataset

COMMANDS = [
    "", "quickstart", "run", "search", "advise", "prepare", "fit", "layout", "generate", "score",
    "filter", "version", "train", "report", "predict", "export-detector", "model-card", "clean",
    "compare", "data", "data list", "data fetch", "data check",
]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, tmp_path: Path, command: Command
) -> None:
    shown = command("synthdata", *name.split(), "--help", cwd=tmp_path).stdout
    assert "Usage: synthdata" in shown
    if name not in ("", "data"):
        assert "Example: synthdata" in shown


def test_usage_errors_have_status_2(tmp_path: Path, command: Command) -> None:
    assert "Missing argument" in command("synthdata", "run", cwd=tmp_path, status=2).stderr
    refused = command("synthdata", "fit", "smoke.yaml", "--seed", "9", cwd=tmp_path, status=2)
    assert "must be one of [0, 1], got 9" in refused.stderr
    refused = command("synthdata", "fit", "smoke.yaml", "--final", cwd=tmp_path, status=2)
    assert "are for train and report" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_bad_config_has_status_1_and_writes_nothing(tmp_path: Path, command: Command) -> None:
    refused = command("synthdata", "run", "smoke.yaml", "seeds=[]", cwd=tmp_path, status=1)
    assert refused.stderr.startswith("ConfigError: ")
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_stage_alone_before_its_inputs_says_what_to_run(tmp_path: Path, command: Command) -> None:
    refused = command("synthdata", "layout", "smoke.yaml", "--only", cwd=tmp_path, status=1)
    assert "layout needs prepare at" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_stage_makes_what_it_needs_as_the_config_has_it(tmp_path: Path, command: Command) -> None:
    layout = ("synthdata", "layout", "smoke.yaml", "--seed", "0")
    prepared = tmp_path / "runs" / "smoke" / "seed-0" / "prepare"

    made = command(*layout, cwd=tmp_path)
    assert "needed first: prepare (seed 0)" in made.stderr
    other = command(*layout, "prepare.image_size=[80,64]", cwd=tmp_path)
    assert "image_size: [64, 48] there, [80, 64] in the config" in other.stderr
    assert {sample.width for sample in load_dataset(prepared)} == {80}

    refused = command(*layout, "--only", cwd=tmp_path, status=1)
    assert "prepare.image_size: [80, 64] there, [64, 48] in the config" in refused.stderr
    assert {sample.width for sample in load_dataset(prepared)} == {80}

    back = command(*layout, cwd=tmp_path)
    assert "prepare: done already, reused" in back.stderr, "both were set aside and come back"
    assert "layout: done already, reused" in back.stderr
    assert {sample.width for sample in load_dataset(prepared)} == {64}


def test_malformed_data_stops_prepare(tmp_path: Path, command: Command) -> None:
    write_dataset(tmp_path / "broken", num=6)
    coco = json.loads((tmp_path / "broken" / "annotations.json").read_text())
    coco["annotations"][0]["bbox"][2] = 500
    (tmp_path / "broken" / "annotations.json").write_text(json.dumps(coco))
    config = yaml.safe_load((ROOT / "configs" / "smoke.yaml").read_text())
    config["name"] = "mine"
    config["prepare"]["source"] = {"kind": "folder", "path": "broken", "format": "coco"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    refused = command("synthdata", "run", "mine.yaml", cwd=tmp_path, status=1)
    assert "expected a box inside the image of 64x48 px" in refused.stderr
    written = {path.name for path in tmp_path.glob("runs/**/*") if path.is_file()}
    locks = {".lock", ".lock.entry", ".prepare.lock"}
    assert written <= {".key", *locks}, "no image, no table, no metrics"


def test_data_check_speaks_json(tmp_path: Path, command: Command) -> None:
    write_dataset(tmp_path / "sound", num=6)
    sound = command(
        "synthdata", "data", "check", "sound", "--format", "coco", "--json", cwd=tmp_path
    )
    assert all(problem["level"] == "warning" for problem in json.loads(sound.stdout))


def test_data_list_names_what_fetch_knows(tmp_path: Path, command: Command) -> None:
    assert set(json.loads(command("synthdata", "data", "list", "--json", cwd=tmp_path).stdout)) == {
        "bccd", "digits", "txl-pbc",
    }  # fmt: skip
    refused = command("synthdata", "data", "fetch", "coco", cwd=tmp_path, status=1)
    assert "bccd" in refused.stderr


def test_bccd_comes_from_the_mirror(tmp_path: Path, command: Command, bccd_mirror: Path) -> None:
    env = {"SYNTHDATA_MIRROR": str(bccd_mirror)}
    folder = command("synthdata", "data", "fetch", "bccd", cwd=tmp_path, env=env).stdout.strip()
    assert len(list((tmp_path / folder / "JPEGImages").glob("*.jpg"))) == 364
    checked = command(
        "synthdata", "data", "check", folder, "--format", "voc", cwd=tmp_path, status=1
    )
    assert "BloodImage_00338.xml" in checked.stdout
    assert "BloodImage_00343.xml" in checked.stdout
    assert "2 errors" in checked.stdout


def test_an_interrupt_has_status_130(tmp_path: Path) -> None:
    # A shell that runs the tests in the background makes all their children ignore Ctrl-C.
    heeding = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execvp('synthdata', ['synthdata', 'run', 'smoke.yaml'])"
    )
    running = subprocess.Popen(
        ["python", "-c", heeding], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "runs" / "smoke" / "seed-0" / "fit").is_dir():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert said.endswith("interrupted; the same command goes on where it was\n")


def test_importing_synthdata_is_light(tmp_path: Path, command: Command) -> None:
    heavy = ["torch", "diffusers", "transformers", "ultralytics", "prefect", "dvc", "sklearn"]
    code = f"import sys, synthdata.cli; print([m for m in {heavy} if m in sys.modules])"
    assert command("python", "-c", code, cwd=tmp_path).stdout.strip() == "[]"
