"""Ten lines of config, one's own images, no diffusion model and no orchestrator: a verdict."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from commands import Command
from synthdata.config.sources import DigitsSource
from synthdata.datasets.fetch import fetch_digits
from synthdata.files import read_json
from synthdata.formats.assemble import assemble
from synthdata.formats.coco_reader import parse_coco
from synthdata.formats.yolo import save_yolo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ten_lines")]
TEN_LINES = """\
extends: quickstart.yaml
name: ten-lines
pools:
  renders: {kind: folder, path: renders, format: yolo}
  pasted: {kind: paste, onto: renders, num_images: 12}
arms:
  real: {role: reference}
  renders: {extra: {renders: 0.25}}
  two_phase: {phases: [{steps: 0.5, extra: {pasted: 0.4}}, {steps: 0.5, extra: {renders: 0.3}}]}
contrasts: [[renders, real], [two_phase, real], [renders, two_phase]]
"""
# As small as lets a detector find something: without, no difference could be told from another.
SMALL = (
    "seeds=[0,1]", "prepare.source.digits=[0]", "prepare.source.num_train=20",
    "prepare.source.num_val=12", "prepare.source.num_test=8", "prepare.image_size=[64,48]",
    "prepare.train_images=16", "prepare.ceiling_images=16", "prepare.min_instances=2",
    "train.detector.image_size=64", "train.detector.learning_rate=0.02",
    "train.detector.scale=0.1", "train.detector.mosaic=0", "evaluation.shifted={}",
    "train.epochs=12", "version.dvc=false",
    "report.bootstrap_samples=20",
)  # fmt: skip
# Python imports it at its start, in every process that has its folder on the path.
WITHOUT = """\
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("diffusers", "prefect"):
            raise ImportError(f"{name} must not be needed")
        return None


sys.meta_path.insert(0, Missing())
"""
RUN = Path("runs") / "ten-lines"


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes in which neither diffusers nor prefect can be imported."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "sitecustomize.py").write_text(WITHOUT)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory, command: Command, without: dict[str, str]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The workspace in which the config ran, and what the command printed."""
    workspace = tmp_path_factory.mktemp("ten-lines")
    (workspace / "ten-lines.yaml").write_text(TEN_LINES)
    source = DigitsSource(
        kind="digits", digits=(0,), num_train=4, num_val=1, num_test=1, dataset_seed=7
    )
    scenes = assemble(parse_coco(fetch_digits(source, workspace / "scenes")))
    save_yolo(scenes, workspace / "renders")
    done = command(
        "synthdata", "run", "ten-lines.yaml", *SMALL, "--json", cwd=workspace, env=without
    )
    return workspace, done


@pytest.fixture
def workspace(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return ran[0]


@pytest.mark.parametrize("package", ["diffusers", "prefect"])
def test_the_run_could_import_neither(
    command: Command, without: dict[str, str], tmp_path: Path, package: str
) -> None:
    failed = command("python", "-c", f"import {package}", cwd=tmp_path, status=1, env=without)
    assert f"{package} must not be needed" in failed.stderr


def test_ten_lines_end_in_a_verdict(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    workspace, done = ran
    assert len(TEN_LINES.splitlines()) == 10
    verdicts = {row["verdict"] for row in json.loads(done.stdout)["contrasts"]}
    assert verdicts <= {"helps", "hurts", "no_gain", "inconclusive"}
    assert (workspace / RUN / "report" / "report.html").stat().st_size > 10_000


def test_no_stage_ran_that_no_pool_asks_for(workspace: Path) -> None:
    folders = {path.name for path in (workspace / RUN / "seed-0").iterdir() if path.is_dir()}
    assert folders == {"prepare", "generate", "version", "train"}


def test_each_list_has_exactly_its_shares(workspace: Path) -> None:
    length = read_json(workspace / RUN / "seed-0" / "version" / "metrics.json")["list_length"]
    quarter, first, second = (round(share * length) for share in (0.25, 0.4, 0.3))
    assert lines_by_pool(workspace, "real") == {"": length}
    assert lines_by_pool(workspace, "renders") == {"": length - quarter, "renders": quarter}
    assert lines_by_pool(workspace, "two_phase") == {"": length - first, "pasted": first}
    in_second = lines_by_pool(workspace, "two_phase", "train-2.txt")
    assert in_second == {"": length - second, "renders": second}


def lines_by_pool(workspace: Path, arm: str, name: str = "train.txt") -> Counter[str]:
    """Count a training list's lines by the pool that the arm's manifest names for the image."""
    folder = workspace / RUN / "seed-0" / "version" / "arms" / arm
    manifest = pd.read_parquet(folder / "manifest.parquet")
    pool_of = dict(zip(manifest["path"], manifest["pool"], strict=True))
    lines = (folder / name).read_text().splitlines()
    assert all((folder / line).is_file() for line in lines)
    return Counter(pool_of[line.removeprefix("./")] for line in lines)


def test_phases_take_as_many_steps_as_one_list(workspace: Path) -> None:
    for seed in (0, 1):
        train = workspace / RUN / f"seed-{seed}" / "train"
        done = {path.parent.name: read_json(path) for path in train.rglob("training.json")}
        assert set(done) == {"real", "renders", "two_phase"}
        assert len({one["steps"] for one in done.values()}) == 1
        losses = pd.read_csv(train / "jobs" / "two_phase" / "losses.csv")
        assert losses["phase"].tolist() == [1] * 6 + [2] * 6


def test_the_contrasts_are_consistent(workspace: Path) -> None:
    report = read_json(workspace / RUN / "report" / "metrics.json")
    found = {(row["arm"], row["against"]): row["difference"] for row in report["contrasts"]}
    assert len(found) == 3
    a, b = found["renders", "real"], found["two_phase", "real"]
    assert a != b, "arms that learnt nothing would show nothing"
    assert found["renders", "two_phase"] == pytest.approx(a - b, abs=1e-12)
    means = {name: arm["map50_95"] for name, arm in report["arms"].items()}
    assert a == pytest.approx(means["renders"] - means["real"], abs=1e-12)
