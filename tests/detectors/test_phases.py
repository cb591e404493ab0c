"""Real trainings of one and of two phases, in their own processes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from builders import write_dataset
from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import TrainingPhase, TrainSettings
from synthdata.detectors.jobs import prepare_job
from synthdata.detectors.workers import run_workers
from synthdata.files import read_json
from torch_files import parameters, tensors

# One worker has them all, so that the trainings are run once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("phases")]


@pytest.fixture(scope="module")
def jobs(config: UltralyticsConfig, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Finished trainings by name; the lists have 8 images, the batch 2."""
    root = tmp_path_factory.mktemp("phases")
    dataset = write_dataset(root / "data", num=6)
    first, second = dataset.samples[:4] * 2, dataset.samples[2:] * 2
    phases = {
        "one": [TrainingPhase(first, epochs=1)],
        "long": [TrainingPhase(first, epochs=2)],
        "two": [TrainingPhase(first, epochs=1), TrainingPhase(second, 1, learning_rate=1e-5)],
    }
    phases["again"] = phases["two"]
    settings = TrainSettings(batch_size=2, seed=5, device="cpu")
    calls = [
        prepare_job(
            config, settings, phases=listed, dataset=dataset, targets={"all": dataset},
            job_dir=root / name,
        )
        for name, listed in phases.items()
    ]  # fmt: skip
    list(run_workers([call for call in calls if call], num_parallel=2))
    return {name: root / name for name in phases}


def test_phases_share_out_the_steps(jobs: Mapping[str, Path]) -> None:
    steps = {name: read_json(path / "training.json")["steps"] for name, path in jobs.items()}
    assert steps == {"one": 4, "long": 8, "two": 8, "again": 8}
    num_images = {n: read_json(path / "training.json")["num_images"] for n, path in jobs.items()}
    assert num_images == {"one": 8, "long": 8, "two": 16, "again": 16}


def test_losses_count_epochs_through_the_phases(jobs: Mapping[str, Path]) -> None:
    one, long, two = (pd.read_csv(jobs[n] / "losses.csv") for n in ("one", "long", "two"))
    assert long.columns.tolist() == ["epoch", "box", "cls", "dfl"]
    assert two.columns.tolist() == ["epoch", "phase", "box", "cls", "dfl"]
    assert two["epoch"].tolist() == two["phase"].tolist() == [1, 2]
    pd.testing.assert_frame_equal(two.drop(columns="phase").head(1), one)


def test_a_phase_starts_from_the_weights_of_the_one_before(jobs: Mapping[str, Path]) -> None:
    one, long, two = (parameters(jobs[n] / "weights.pt") for n in ("one", "long", "two"))
    # at a hundred-thousandth of the learning rate only the batch statistics move
    assert np.isclose(two, one, rtol=1e-3, atol=1e-4).mean() > 0.95
    assert np.isclose(long, one, rtol=1e-3, atol=1e-4).mean() < 0.2


def test_same_seed_same_bytes(jobs: Mapping[str, Path]) -> None:
    first, again = jobs["two"], jobs["again"]
    assert tensors(first / "weights.pt") == tensors(again / "weights.pt")
    for name in ("losses.csv", "predictions-all.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
