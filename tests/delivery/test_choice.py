"""Which detector of a run is delivered, and when none is."""

import json
from pathlib import Path

import pytest

from commands import Command
from synthdata.delivery.choice import delivered_arm, open_detector
from synthdata.delivery.outputs import fresh_folder
from synthdata.errors import DamagedFileError, RunError
from synthdata.files import read_json, sha256_file, write_json
from synthdata.report.finished import find_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("delivery")]


def test_a_run_is_found_by_name_and_by_folder(workspace: Path) -> None:
    expected = workspace / "runs" / "tiny"
    for named in ("tiny", "runs/tiny", str(expected)):
        assert find_run(named, workspace) == expected
    assert find_run(".", expected) == expected
    for named in ("other", "runs", ""):
        with pytest.raises(RunError, match=r"is neither a run in .* there is tiny"):
            find_run(named, workspace)


def test_the_advice_decides_unless_one_asks(run_dir: Path) -> None:
    assert delivered_arm(run_dir) == "real_balanced"
    assert open_detector(run_dir).arm == "real_balanced"
    chosen = open_detector(run_dir, arm="real", seed=0)
    assert chosen.weights == run_dir / "seed-0" / "train" / "jobs" / "real" / "weights.pt"
    assert chosen.weights_sha256 == sha256_file(chosen.weights)
    report = read_json(run_dir / "report" / "metrics.json")
    report["advice"]["arm"] = "real"
    write_json(run_dir / "report" / "metrics.json", report)
    assert delivered_arm(run_dir) == "real"


def test_refuses_an_arm_or_a_repetition_that_is_not_in_the_run(run_dir: Path) -> None:
    with pytest.raises(RunError, match=r"no arm 'mix', only \['real', 'real_balanced'\]"):
        open_detector(run_dir, arm="mix")
    with pytest.raises(RunError, match=r"no seed 5, only \[0\]"):
        open_detector(run_dir, seed=5)


def test_refuses_a_run_that_is_not_finished(run_dir: Path) -> None:
    (run_dir / "report" / "config.yaml").unlink()
    for ask in (delivered_arm, open_detector):
        with pytest.raises(RunError, match="tiny isn't finished"):
            ask(run_dir)


def test_refuses_a_report_without_advice(run_dir: Path) -> None:
    report = read_json(run_dir / "report" / "metrics.json")
    del report["advice"]
    write_json(run_dir / "report" / "metrics.json", report)
    with pytest.raises(RunError, match="of a version of synthdata that gave no advice"):
        delivered_arm(run_dir)


def test_refuses_a_training_made_anew_since_the_report(run_dir: Path) -> None:
    (run_dir / "seed-0" / "train" / ".key").write_text("another\ntrain\n")
    with pytest.raises(RunError, match="report in .* no longer follows from seed-0/train"):
        open_detector(run_dir)


def test_refuses_weights_that_are_not_those_that_were_trained(run_dir: Path) -> None:
    weights = open_detector(run_dir).weights
    with weights.open("ab") as file:
        file.write(b"x")
    with pytest.raises(DamagedFileError, match=rf"got sha256 {sha256_file(weights)}"):
        open_detector(run_dir)
    weights.unlink()
    with pytest.raises(DamagedFileError, match="got no file"):
        open_detector(run_dir)


def test_says_that_a_run_recorded_no_digest(
    run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = run_dir / "seed-0" / "train" / "metrics.json"
    metrics = read_json(path)
    for values in metrics["arms"].values():
        del values["weights_sha256"]
    write_json(path, metrics)
    assert not open_detector(run_dir).is_verified
    assert "recorded no digest" in caplog.text


def test_errors_have_status_1_and_write_nothing(tmp_path: Path, command: Command) -> None:
    refused = command("synthdata", "predict", "lost", ".", cwd=tmp_path, status=1)
    assert refused.stderr.startswith("RunError: 'lost' is neither a run")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_fresh(tmp_path: Path) -> None:
    for expected in ("one", "one-2", "one-3"):
        folder = fresh_folder(tmp_path, "one")
        assert folder == tmp_path / expected
        folder.mkdir()


def test_the_advice_is_shown_again(workspace: Path, command: Command) -> None:
    advice = read_json(workspace / "runs" / "tiny" / "report" / "metrics.json")["advice"]
    shown = command("synthdata", "advise", "tiny", cwd=workspace).stdout
    assert " ".join(shown.split()).startswith(" ".join(advice["sentence"].split()))
    assert json.loads(command("synthdata", "advise", "tiny", "--json", cwd=workspace).stdout) == (
        advice
    )
    assert (advice["arm"], advice["kind"], advice["chosen_by"]) == (
        "real_balanced", "free", "search",
    )  # fmt: skip
