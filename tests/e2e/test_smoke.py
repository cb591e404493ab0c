"""The whole loop of `smoke.yaml`, through the command line."""

import json
import shutil
from pathlib import Path

import pytest

from commands import Command
from synthdata import compare_arms
from synthdata.config import STAGES, load_config
from synthdata.files import read_json, sha256_file
from synthdata.manifest import load_dataset

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smoke")]
CONFIG = load_config("smoke.yaml")
RUN = Path("runs") / "smoke"


def test_every_stage_leaves_what_the_design_promises(smoke_workspace: Path) -> None:
    for stage in STAGES[:-1]:
        folder = smoke_workspace / RUN / "seed-0" / stage
        assert (folder / "config.yaml").is_file(), stage
        assert read_json(folder / "metrics.json")["elapsed_s"] >= 0
    for stage in ("prepare", "generate", "score", "filter/synthetic"):
        dataset = load_dataset(smoke_workspace / RUN / "seed-0" / stage)
        for sample in dataset:
            assert sha256_file(dataset.image_path(sample)) == sample.sha256


def test_the_verdict_follows_from_the_trainings(smoke_workspace: Path) -> None:
    import pandas as pd

    report = read_json(smoke_workspace / RUN / "report" / "metrics.json")
    assert set(report["arms"]) == set(CONFIG.arms)
    rows = [
        {"arm": arm, "seed": seed, "map50_95": values["map50_95"]}
        for seed in CONFIG.seeds
        for arm, values in read_json(
            smoke_workspace / RUN / f"seed-{seed}" / "train" / "metrics.json"
        )["arms"].items()
    ]
    expected = compare_arms(pd.DataFrame(rows), contrasts=CONFIG.contrasts)
    for arm, values in report["arms"].items():
        of_arm = [row["map50_95"] for row in rows if row["arm"] == arm]
        assert values["map50_95"] == pytest.approx(sum(of_arm) / len(of_arm))
    for row, other in zip(report["contrasts"], expected.to_dict("records"), strict=True):
        assert (row["arm"], row["against"]) == (other["arm"], other["against"])
        assert row["difference"] == pytest.approx(other["difference"])
        assert row["verdict"] in {"helps", "hurts", "no_gain", "inconclusive"}
    assert set(report["timings_s"]) >= set(STAGES[:-1])


def test_all_arms_did_equal_work(smoke_workspace: Path) -> None:
    arms = read_json(smoke_workspace / RUN / "seed-0" / "train" / "metrics.json")["arms"]
    steps = CONFIG.train.epochs * CONFIG.version.list_length // CONFIG.train.batch_size
    assert {values["steps"] for values in arms.values()} == {steps}


def test_generated_and_real_images_alone_do_equal_work(smoke_workspace: Path) -> None:
    folder = smoke_workspace / RUN / "seed-0" / "score"
    real, generated = (folder / "alone" / name for name in ("real", "generated"))
    done = [read_json(job / "training.json") for job in (real, generated)]
    assert done[0]["steps"] == done[1]["steps"]
    assert done[0]["num_images"] == done[1]["num_images"]
    assert sha256_file(real / "weights.pt") != sha256_file(generated / "weights.pt")
    alone = read_json(folder / "metrics.json")["alone"]
    assert alone["images"] == CONFIG.prepare.train_images


def test_score_prints_each_repetition(smoke_workspace: Path, command: Command) -> None:
    shown = command("synthdata", "score", "smoke.yaml", cwd=smoke_workspace).stdout
    assert shown.split()[0] == "seed-0"
    assert "chance" in shown
    done = command("synthdata", "train", "smoke.yaml", "--json", cwd=smoke_workspace)
    trained = json.loads(done.stdout)
    assert list(trained) == ["seed-0", "seed-1"]
    assert trained["seed-0"]["arms"]["real"] != trained["seed-1"]["arms"]["real"]


def test_the_arms_are_versioned_with_dvc(smoke_workspace: Path) -> None:
    versions = smoke_workspace / "data" / "versions" / "smoke"
    assert [path.name for path in versions.glob("*.dvc")] == ["seed-0.dvc"], "seed 1 shares it"
    assert {path.name for path in (versions / "seed-0" / "arms").iterdir()} == set(CONFIG.arms)


def test_a_second_run_reuses_everything(smoke_workspace: Path, command: Command) -> None:
    before = {p: p.stat().st_mtime_ns for p in (smoke_workspace / RUN).rglob("*.png")}
    done = command("synthdata", "run", "smoke.yaml", "--json", cwd=smoke_workspace)
    reused = [line for line in done.stderr.splitlines() if "done already" in line]
    assert len(reused) == 8 + 1 + 1  # the first seed's stages, the second's train, the report
    assert json.loads(done.stdout)["arms"]["real"]
    assert before == {p: p.stat().st_mtime_ns for p in (smoke_workspace / RUN).rglob("*.png")}


def test_opening_test_trains_nothing_anew_and_is_logged(
    smoke_workspace: Path, command: Command
) -> None:
    weights = {
        p: sha256_file(p) for p in (smoke_workspace / RUN).rglob("jobs/*/weights*") if p.is_file()
    }
    assert len(weights) == len(CONFIG.arms) * len(CONFIG.seeds)
    # One repetition is enough, and leaves the other's predictions on test unmade.
    done = command(
        "synthdata", "run", "smoke.yaml", "seeds=[0]", "--final", "--json", cwd=smoke_workspace
    )
    assert json.loads(done.stdout)["evaluation_split"] == "test"
    assert weights == {p: sha256_file(p) for p in weights}
    looks = (smoke_workspace / "runs" / "looks.jsonl").read_text().splitlines()
    assert [json.loads(look)["evaluation_set"] for look in looks] == ["test"]


def test_each_filter_is_measured_against_a_random_drop(
    smoke_workspace: Path, command: Command, tmp_path: Path
) -> None:
    # Two filters and one repetition, in a copy: other filters are another run.
    workspace = shutil.copytree(smoke_workspace, tmp_path / "copy", symlinks=True)
    filters = "filter.filters=[{kind: manifold, crop_size: 48}, {kind: memorisation}]"

    done = command("synthdata", "ablate-filters", "smoke.yaml", "seeds=[0]", filters, cwd=workspace)

    assert f"report: {RUN}-filter-ablation/report/report.html" in done.stdout
    assert "All filters " in done.stdout
    ablation = workspace / f"{RUN}-filter-ablation"
    report = read_json(ablation / "report" / "metrics.json")
    assert report["reference"] == "synthetic_random_drop"
    tested = [(row["arm"], row["against"]) for row in report["contrasts"]]
    assert tested[0] == ("synthetic_filtered", "synthetic_random_drop")
    assert set(report["arms"]) == {
        "synthetic_random_drop", "synthetic", "synthetic_manifold", "synthetic_memorisation",
        "synthetic_filtered",
    }  # fmt: skip
    version = read_json(ablation / "seed-0" / "version" / "metrics.json")["arms"]
    lengths = {arm["training_lists"]["train.txt"]["length"] for arm in version.values()}
    assert lengths == {CONFIG.version.list_length}
    fitted = [
        folder / RUN / "seed-0" / "fit" / "metrics.json" for folder in (smoke_workspace, workspace)
    ]
    assert fitted[0].read_bytes() == fitted[1].read_bytes(), "the run's own stages are taken"
    assert not (workspace / "data" / "versions" / "smoke-filter-ablation").exists()
