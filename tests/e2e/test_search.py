"""A whole search through the command line: out of time, killed, and gone on with."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import yaml

from commands import Command
from synthdata.config import load_config
from synthdata.config.sources import DigitsSource
from synthdata.datasets.digits import write_digits
from synthdata.files import read_json, sha256_file
from synthdata.plan import plan

pytestmark = pytest.mark.slow
RUN = Path("runs") / "digits-search"
# Images of a folder stand for generated ones, and no model is fitted: what is shown here is the
# search, which knows pools by what they are.
CONFIG: dict[str, Any] = {
    "extends": "smoke.yaml",
    "name": "digits",
    "pools": {},
    "arms": {"real": {"role": "reference"}},
    "contrasts": [],
    "fit": None,
    "layout": {"num_layouts": 8},
    "version": {"list_length": "auto"},
    "evaluation": {"shifted": {"kraft": {"source": {"kind": "digits", "paper": "kraft"}}}},
    "search": {
        "seeds": [100, 101],
        "trials": 3,
        "rungs": [{"epochs": 1}, {"epochs": 2}],
        "spaces": [
            {
                "family": "free",
                "pools": {"pasted": {"kind": "paste", "mask": "box", "flip_lr": 0.0}},
                "arm": {"extra": {"pasted": {"choose": [0.3, 0.6]}}},
            },
            {
                "family": "synthetic",
                "pools": {"brought": {"kind": "folder", "path": "brought", "format": "coco"}},
                "arm": {
                    "extra": {"brought": {"choose": [0.2, 0.4, 0.5]}},
                },
            },
        ],
    },
}


def wait_for_training(process: subprocess.Popen[bytes], jobs: Path) -> list[Path]:
    while not (trained := list(jobs.glob("*/training.json"))):
        assert process.poll() is None
        time.sleep(0.05)
    return trained


def test_a_search_that_was_killed_goes_on_to_the_best_of_both(
    tmp_path: Path, command: Command
) -> None:
    source = DigitsSource(kind="digits", num_train=8, num_val=1, num_test=1, dataset_seed=9)
    write_digits(source, tmp_path / "brought")
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(CONFIG))
    search = ("synthdata", "search", "digits.yaml")

    late = command(*search, "--max-hours", "0", cwd=tmp_path)
    assert "time is up: stage prepare of seed 100 was not started" in late.stderr
    assert late.stdout == ""

    first = tmp_path / RUN / "seed-100" / "train-1" / "jobs"
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(search, cwd=tmp_path, stderr=log)
        trained = wait_for_training(process, first)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(trained) < 5
    before = {path: path.stat().st_mtime_ns for path in trained}
    study = tmp_path / RUN / "study.db"
    drawn = [trial.params for trial in trials_of(study)]

    done = command(*search, cwd=tmp_path)

    assert done.stdout == f"best: {RUN}/best.yaml\n"
    assert "there are 2 free recipes, and not search.trials (3)" in done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in trained}, "no training is repeated"
    trials = trials_of(study)
    assert [trial.params for trial in trials] == drawn
    attributes = [trial.user_attrs for trial in trials]
    assert [one["family"] for one in attributes] == ["free"] * 2 + ["synthetic"] * 2
    assert len({one["digest"] for one in attributes}) == len(trials)
    states = [trial.state.name for trial in trials]
    assert [sorted(states[:2]), sorted(states[2:])] == [["COMPLETE", "PRUNED"]] * 2
    budgets = {len(trial.intermediate_values): set(trial.intermediate_values) for trial in trials}
    assert budgets[1] < budgets[2], "two budgets of steps, of which a pruned one had the first"

    table = pd.read_csv(tmp_path / RUN / "trials.csv")
    assert table.groupby("rung").size().to_dict() == {1: 5, 2: 3}
    assert set(table["steps"]) == budgets[2]
    for (epochs, seed), rows in table.groupby(["epochs", "seed"]):
        folder = tmp_path / RUN / f"seed-{seed}" / f"train-{epochs}"
        measured = read_json(folder / "metrics.json")
        assert measured["evaluation_split"] == "val"
        assert {arm: of["map50_95"] for arm, of in measured["arms"].items()} == pytest.approx(
            rows.set_index("arm")["map50_95"].to_dict(), abs=1e-4
        )
    made = tmp_path / RUN / "seed-100" / "generate"
    assert len(read_json(made / "metrics.json")["pools"]) == 2, "each pool is made once"

    assert not (tmp_path / "runs" / "looks.jsonl").exists()
    assert not [*tmp_path.rglob("predictions-test.json"), *tmp_path.rglob("predictions-kraft.json")]
    best = load_config(tmp_path / RUN / "best.yaml")
    assert set(best.arms) == {"real", "synthetic", "free", "synthetic_twin"}
    assert best.contrasts == (("synthetic", "free"), ("synthetic", "real"))
    assert set(best.evaluation.shifted) == {"kraft"}, "the claim's sets are there again"
    assert {step.stage for step in plan(best, tmp_path)} >= {"generate", "train", "report"}

    files = {path: sha256_file(path) for path in (tmp_path / RUN).rglob("*.*") if path.is_file()}
    again = command(*search, "--json", cwd=tmp_path)
    assert f'"best": "{RUN}/best.yaml"' in again.stdout
    changed = {path.name for path, digest in files.items() if sha256_file(path) != digest}
    assert changed <= {".lock"}


def trials_of(path: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=None, storage=f"sqlite:///{path}").trials
