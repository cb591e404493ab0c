"""Fine-tuning that is killed, or spread over several processes."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from synthdata.config.fit import FitConfig
from synthdata.errors import TrainingError
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset
from synthdata.training.fit import fit_model
from training import tiny_bases
from training.tiny_bases import Bases, fit_config, same, weights

pytestmark = [*tiny_bases.pytestmark, pytest.mark.slow]
STEPS = 20
_KILL_EACH = """
import os, signal, sys, time
from pathlib import Path
import torch
from synthdata.config.fit import FitConfig
from synthdata.manifest import load_dataset
from synthdata.training import finetune  # once, for all the children
from synthdata.training.fit import fit_model
from synthdata.training.lora import add_adapters
train = load_dataset(Path(sys.argv[1]))
for config, out_dir in zip(sys.argv[2::2], sys.argv[3::2]):
    pid = os.fork()
    if not pid:
        fit_model(FitConfig.model_validate_json(config), train, Path(out_dir))
        os._exit(0)
    while not (Path(out_dir) / "checkpoints" / "finetune.pt").is_file():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), out_dir
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
"""


def kill_each(train: DetectionDataset, configs: dict[Path, FitConfig]) -> None:
    """Kill a training in each of the folders once it has a checkpoint."""
    arguments = [
        text for folder, config in configs.items() for text in (config.model_dump_json(), folder)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _KILL_EACH, train.root, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for folder in configs:
        assert not (folder / "generator.json").exists()
        checkpoint = torch.load(folder / "checkpoints" / "finetune.pt", weights_only=True)
        assert 0 < checkpoint["progress"]["step"] < STEPS, "killed in the middle of the training"


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    train = load_dataset(train.root)  # as the killed processes do: boxes in JSON are rounded
    configs = {name: fit_config(base, steps=STEPS) for name, base in bases.items()}
    kill_each(train, {tmp_path / name: config for name, config in configs.items()})
    for name, config in configs.items():
        fit_model(config, train, tmp_path / name)
        fit_model(config, train, tmp_path / f"{name}-undisturbed")

        resumed, undisturbed = tmp_path / name, tmp_path / f"{name}-undisturbed"
        assert same(weights(resumed), weights(undisturbed)), name
        assert (resumed / "losses.csv").read_bytes() == (undisturbed / "losses.csv").read_bytes()


def test_adapters_resume_too(train: DetectionDataset, bases: Bases, tmp_path: Path) -> None:
    """With gradient accumulation, from a checkpoint in the middle."""
    train = load_dataset(train.root)
    config = fit_config(bases["sd"], steps=STEPS, lora_rank=2, gradient_accumulation_steps=2)
    kill_each(train, {tmp_path / "killed": config})

    fit_model(config, train, tmp_path / "killed")
    fit_model(config, train, tmp_path / "undisturbed")

    assert (tmp_path / "killed" / "lora").is_dir()
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "undisturbed"))


@pytest.fixture(scope="module")
def in_two(bases: Bases, train: DetectionDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training in two processes that nothing disturbed."""
    out_dir = tmp_path_factory.mktemp("two")
    config = fit_config(bases["sd"], steps=STEPS, num_processes=2)
    metrics = fit_model(config, load_dataset(train.root), out_dir)
    assert metrics["num_processes"] == 2
    assert metrics["peak_rss_mib"] > 100
    return out_dir


@pytest.mark.xdist_group("in_two")
def test_two_devices_train_as_one_that_accumulates(
    bases: Bases, train: DetectionDataset, in_two: Path, tmp_path: Path
) -> None:
    one = fit_config(bases["sd"], steps=STEPS, gradient_accumulation_steps=2)
    fit_model(one, load_dataset(train.root), tmp_path / "one")
    alone, together = weights(tmp_path / "one"), weights(in_two)
    assert alone.keys() == together.keys()
    for key in alone:
        torch.testing.assert_close(alone[key], together[key], rtol=1e-4, atol=1e-6)


@pytest.mark.xdist_group("in_two")
def test_processes_end_with_a_killed_fit_and_resume(
    bases: Bases, train: DetectionDataset, in_two: Path, tmp_path: Path
) -> None:
    train = load_dataset(train.root)
    config = fit_config(bases["sd"], steps=STEPS, num_processes=2)
    killed = tmp_path / "killed"
    kill_each(train, {killed: config})
    job = str(killed / "checkpoints" / "job.json")
    left = [process for process in psutil.process_iter() if job in _command_line(process)]
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive

    fit_model(config, train, killed)

    assert same(weights(killed), weights(in_two))


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def test_a_failing_process_is_an_error_with_its_log(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    wild = fit_config(bases["sd"], num_processes=2, learning_rate=1e30, steps=4)

    with pytest.raises(TrainingError, match=r"(?s)job\.log.*loss of phase finetune isn't finite"):
        fit_model(wild, train, tmp_path)

    assert not (tmp_path / "generator.json").exists()
