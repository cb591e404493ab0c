"""Real trainings, each of four optimizer steps, in their own processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from builders import write_dataset
from synthdata.armfolder import PHASES
from synthdata.config.detector import UltralyticsConfig
from synthdata.config.train import TrainConfig
from synthdata.detectors.arms import train_arms
from synthdata.detectors.jobs import read_predictions, train_and_predict
from synthdata.errors import DatasetError, TrainingError
from synthdata.files import read_json, write_json
from synthdata.manifest import load_dataset, save_dataset
from torch_files import tensors

# One worker has them all, so that the stage is run once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("arms")]
Trained = tuple[Path, dict[str, Any]]

# Imported by every Python process at its start, before any library.
AUDIT = """
import os, sys
def note(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["AUDIT_LOG"], "a") as log:
            log.write(f"{event} {args}\\n")
        raise OSError("tests have no network")
sys.addaudithook(note)
open(os.environ["AUDIT_LOG"], "a").write("armed\\n")
"""


@pytest.fixture(scope="session")
def trained(
    section: TrainConfig, version_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """The stage, undisturbed."""
    out_dir = tmp_path_factory.mktemp("train")
    return out_dir, train_arms(section, version_dir=version_dir, out_dir=out_dir)


def test_every_arm_gets_the_same_work(trained: Trained) -> None:
    out_dir, metrics = trained
    assert metrics["evaluation_split"] == "val"
    assert set(metrics["arms"]) == {"real", "synthetic"}
    for values in metrics["arms"].values():
        # the repeats of the list are kept, and every batch makes a step
        assert (values["num_images"], values["steps"]) == (8, 4)
        assert 0 <= values["map50_95"] <= values["map50"] <= 1
        assert values["seconds"] > 0
        assert values["num_parameters"] < 400_000
        assert (out_dir / values["weights"]).is_file()
    weights = [tensors(out_dir / values["weights"]) for values in metrics["arms"].values()]
    assert weights[0] != weights[1]


def test_job_folder_keeps_results_and_no_scratch(trained: Trained, version_dir: Path) -> None:
    job_dir = trained[0] / "jobs" / "real"
    assert sorted(path.name for path in job_dir.iterdir()) == [
        "job.json", "log.txt", "losses.csv", "metrics-val.json", "predictions-val.json",
        "training.json", "weights.pt",
    ]  # fmt: skip
    losses = pd.read_csv(job_dir / "losses.csv")
    assert losses.columns.tolist() == ["epoch", "box", "cls", "dfl"]
    assert losses["epoch"].tolist() == [1, 2]
    assert np.isfinite(losses).all(axis=None)
    # version's folder is an input: nothing was written into it
    assert not list(version_dir.rglob("*.cache"))


def test_predictions_are_in_the_images_own_pixels(trained: Trained) -> None:
    # val's images are 160x120, the detector's 64x64
    for found in read_predictions(trained[0] / "jobs" / "real", "val", num_images=3):
        assert 0 < len(found) <= 300
        assert found.xyxy.min() >= 0
        assert (found.xyxy.max(axis=0)[2:] > [100, 80]).all()
        assert (found.xyxy.max(axis=0)[2:] <= [160, 120]).all()
        assert ((found.confidence >= 0.001) & (found.confidence <= 1)).all()


def test_another_split_is_evaluated_without_training(
    trained: Trained, section: TrainConfig, version_dir: Path, tmp_path: Path
) -> None:
    out_dir = Path(shutil.copytree(trained[0], tmp_path / "train"))
    before = {path: path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/weights.pt")}
    final = section.model_copy(update={"evaluation_split": "test"})
    metrics = train_arms(final, version_dir=version_dir, out_dir=out_dir)
    assert metrics["evaluation_split"] == "test"
    assert metrics["sets"]["test"]["num_images"] == 2
    assert before == {path: path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/weights.pt")}
    logs = [path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/log.txt")]
    again = train_arms(section, version_dir=version_dir, out_dir=out_dir)
    assert again == trained[1]
    assert logs == [path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/log.txt")]


def test_a_shifted_set_is_scored_without_training(
    trained: Trained, section: TrainConfig, own_version_dir: Path, tmp_path: Path
) -> None:
    out_dir = Path(shutil.copytree(trained[0], tmp_path / "train"))
    before = {path: path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/weights.pt")}
    write_dataset(own_version_dir / "eval" / "other-lab", num=2, seed=12, prefix="other")

    shifted = section.model_copy(update={"shifted": True})
    metrics = train_arms(shifted, version_dir=own_version_dir, out_dir=out_dir)

    assert before == {path: path.stat().st_mtime_ns for path in out_dir.glob("jobs/*/weights.pt")}
    assert metrics["arms"] == trained[1]["arms"]
    assert {name: one["num_images"] for name, one in metrics["sets"].items()} == {
        "val": 3, "other-lab": 2,
    }  # fmt: skip
    assert set(metrics["shifted"]) == {"other-lab"}
    assert set(metrics["shifted"]["other-lab"]) == {"real", "synthetic"}


def test_phases_share_out_the_steps(
    section: TrainConfig, own_version_dir: Path, tmp_path: Path
) -> None:
    arm = own_version_dir / "arms" / "real"
    (arm / "train-2.txt").write_text("./images/real-000.png\n" * 8)
    phases = [
        {"list": "train.txt", "steps": 0.5, "learning_rate": 1.0},
        {"list": "train-2.txt", "steps": 0.5, "learning_rate": 0.1},
    ]
    write_json(arm / PHASES, phases)

    metrics = train_arms(section, version_dir=own_version_dir, out_dir=tmp_path)

    assert {values["steps"] for values in metrics["arms"].values()} == {4}
    losses = pd.read_csv(tmp_path / "jobs" / "real" / "losses.csv")
    assert losses["phase"].tolist() == [1, 2]


def test_kill_9_costs_the_training_in_flight_and_changes_nothing(
    trained: Trained, section: TrainConfig, version_dir: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from synthdata.config.train import TrainConfig\n"
        "from synthdata.detectors.arms import train_arms\n"
        "section = TrainConfig.model_validate_json(sys.argv[1])\n"
        "train_arms(section, version_dir=Path(sys.argv[2]), out_dir=Path(sys.argv[3]))\n"
    )
    shutil.copytree(trained[0] / "jobs" / "real", tmp_path / "jobs" / "real")
    arguments = [section.model_dump_json(), str(version_dir), str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    # the other arm trains when ultralytics has made its run folder
    in_flight = tmp_path / "jobs" / "synthetic" / "scratch" / "run"
    deadline = time.monotonic() + 300
    while not in_flight.is_dir():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "jobs" / "synthetic" / "training.json").exists()
    finished = tmp_path / "jobs" / "real" / "log.txt"
    kept = finished.stat().st_mtime_ns

    train_arms(section, version_dir=version_dir, out_dir=tmp_path)
    assert finished.stat().st_mtime_ns == kept
    killed, undisturbed = (root / "jobs" / "synthetic" for root in (tmp_path, trained[0]))
    assert tensors(killed / "weights.pt") == tensors(undisturbed / "weights.pt")
    name = "predictions-val.json"
    assert read_json(killed / name) == read_json(undisturbed / name)


def test_single_training_asks_no_network_and_is_reused(
    trained: Trained,
    config: UltralyticsConfig,
    version_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    audit_log = tmp_path / "audit.log"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("AUDIT_LOG", str(audit_log))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # in tests ultralytics would ask less
    real = load_dataset(version_dir / "arms" / "real")
    val = load_dataset(version_dir / "eval" / "val")

    def run() -> list[int]:
        found = train_and_predict(
            config, train=real, targets=val, steps=3, batch_size=2, seed=2**40 + 7, threads=1,
            out_dir=tmp_path / "job",
        )  # fmt: skip
        return [len(detections) for detections in found]

    first = run()
    assert len(first) == 3
    assert set(audit_log.read_text().splitlines()) == {"armed"}
    # three images fill two batches; three steps make two whole passes
    assert read_json(tmp_path / "job" / "training.json")["steps"] == 4
    started = (tmp_path / "job" / "log.txt").stat().st_mtime_ns
    assert run() == first
    assert (tmp_path / "job" / "log.txt").stat().st_mtime_ns == started
    weights = [tmp_path / "job" / "weights.pt", trained[0] / "jobs" / "real" / "weights.pt"]
    assert tensors(weights[0]) != tensors(weights[1])


def test_a_wrong_policy_stops_the_stage_and_says_why(
    section: TrainConfig, config: UltralyticsConfig, version_dir: Path, tmp_path: Path
) -> None:
    wrong = config.model_copy(update={"augmentations": ({"GaussNoise": {"var_limit": 10}},)})
    with pytest.raises(TrainingError, match="var_limit"):
        train_arms(
            section.model_copy(update={"detector": wrong, "num_jobs": 1}),
            version_dir=version_dir,
            out_dir=tmp_path,
        )
    assert not list(tmp_path.glob("jobs/*/weights.pt"))


def test_a_training_that_lost_an_image_fails_and_names_it(
    section: TrainConfig, own_version_dir: Path, tmp_path: Path
) -> None:
    # a cut image of which no digest is known; 7 images fill as many batches of 4 as 8
    arm = own_version_dir / "arms" / "real"
    image = arm / "images" / "real-002.png"
    image.write_bytes(image.read_bytes()[:200])
    dataset = load_dataset(arm)
    save_dataset(replace(dataset, samples=tuple(replace(s, sha256="") for s in dataset)))
    lines = [f"./images/real-00{i}.png\n" for i in (0, 1, 2, 0, 1, 0, 1, 0)]
    (arm / "train.txt").write_text("".join(lines))
    with pytest.raises(TrainingError, match=r"1 of the 8 images .* can't: real-002\.png"):
        train_arms(
            section.model_copy(update={"num_jobs": 1}),
            version_dir=own_version_dir,
            out_dir=tmp_path,
        )
    assert not list(tmp_path.glob("jobs/real/training.json"))


def test_refuses_a_list_with_an_unknown_image(
    section: TrainConfig, own_version_dir: Path, tmp_path: Path
) -> None:
    path = own_version_dir / "arms" / "real" / "train.txt"
    path.write_text(path.read_text().replace("real-001", "real-009"))
    with pytest.raises(DatasetError, match=r"images/real-009\.png"):
        train_arms(section, version_dir=own_version_dir, out_dir=tmp_path)


def test_refuses_a_folder_without_arms(section: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run the version stage"):
        train_arms(section, version_dir=tmp_path, out_dir=tmp_path / "train")
