"""Stage version writes shifted sets beside val and test, and repeats nothing before it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.armfolder import shifted_sets
from synthdata.boxes import cxcywh_to_xyxy
from synthdata.config import load_config
from synthdata.config.sources import DigitsSource
from synthdata.datasets.fetch import fetch_digits
from synthdata.errors import DatasetError
from synthdata.files import read_json, sha256_file
from synthdata.manifest import load_dataset
from synthdata.plan import plan
from synthdata.runfolder import StageResult
from synthdata.stages import run_step

KRAFT = (
    "evaluation.shifted={kraft: {scale: 0.5, "
    "source: {kind: digits, num_test: 3, paper: kraft, ink: pencil}}}"
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(workspace: Path, *overrides: str) -> dict[str, StageResult]:
    """Run prepare and version of an experiment with real images alone."""
    alone = ["arms={real: {role: reference}}", "contrasts=[]", "seeds=[0]", "version.dvc=false"]
    steps = plan(load_config("smoke.yaml", [*alone, *overrides]), workspace)
    return {s.stage: run_step(s) for s in steps if s.stage in ("prepare", "version")}


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def test_it_is_a_data_set_of_its_own_in_yolo_form_too(workspace: Path) -> None:
    results = run(workspace, KRAFT)

    version = results["version"].out_dir
    assert shifted_sets(version) == ["kraft"]
    assert sorted(path.name for path in version.iterdir() if path.is_dir()) == ["arms", "eval"]
    dataset = load_dataset(version / "eval" / "kraft")
    assert [s.sample_id for s in dataset] == [f"kraft-test-{n:05d}" for n in range(3)]
    for sample in dataset:
        assert sha256_file(dataset.image_path(sample)) == sample.sha256
        with Image.open(dataset.image_path(sample)) as image:
            assert image.size == (sample.width, sample.height) == (64, 48)
        rows = np.loadtxt(dataset.root / "labels" / f"{sample.sample_id}.txt", ndmin=2)
        np.testing.assert_array_equal(rows[:, 0], sample.annotations.class_id)
        boxes = cxcywh_to_xyxy(rows[:, 1:].astype(np.float32), width=64, height=48)
        np.testing.assert_allclose(boxes, sample.annotations.xyxy, atol=1e-3)
    metrics = read_json(version / "metrics.json")
    objects = sum(len(sample.annotations) for sample in dataset)
    assert metrics["eval"]["kraft"] == {"num_images": 3, "num_objects": objects}
    assert metrics["shifted"]["kraft"]["images"] == 3
    assert metrics["shifted"]["kraft"]["warnings"] == {}
    assert sum(metrics["shifted"]["kraft"]["objects"].values()) == objects


def test_a_set_that_is_added_changes_no_arm_and_nothing_before_version(workspace: Path) -> None:
    before = run(workspace)
    assert "shifted" not in before["version"].metrics
    plain = tree(before["version"].out_dir / "arms")

    after = run(workspace, KRAFT)

    assert after["prepare"].reused
    assert not after["version"].reused
    assert tree(after["version"].out_dir / "arms") == plain, "cards among them"
    assert run(workspace)["version"].reused, "what was set aside comes back"
    assert shifted_sets(after["version"].out_dir) == []


def test_data_that_changed_is_read_again(workspace: Path) -> None:
    prepared = run(workspace)["prepare"].out_dir
    other = workspace / "other"
    for kind in ("images", "labels"):
        (other / kind / "test").mkdir(parents=True)
    names = load_dataset(prepared).class_names
    (other / "data.yaml").write_text(f"test: images/test\nnames: {list(names)}\n")
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(noise).resize((64, 48)).save(other / "images" / "test" / "a.png")
    label = other / "labels" / "test" / "a.txt"
    label.write_text("0 0.5 0.5 0.2 0.2\n")
    folder = "evaluation.shifted={other: {source: {kind: folder, path: other, format: yolo}}}"
    first = run(workspace, folder)["version"]
    assert run(workspace, folder)["version"].reused
    assert first.metrics["eval"]["other"]["num_objects"] == 1

    label.write_text("0 0.5 0.5 0.2 0.2\n0 0.2 0.2 0.2 0.2\n")

    assert run(workspace, folder)["version"].metrics["eval"]["other"]["num_objects"] == 2


@pytest.mark.parametrize("arm", ["renders", "pasted"])
def test_an_image_of_a_folder_that_is_trained_on_is_in_no_shifted_set(
    workspace: Path, arm: str
) -> None:
    kraft = DigitsSource(kind="digits", num_train=4, num_val=2, num_test=2, paper="kraft")
    fetch_digits(kraft, workspace / "data" / "raw").rename(workspace / "own")
    config = load_config(
        "smoke.yaml",
        [
            "pools={renders: {kind: folder, path: own, format: coco}, "
            "pasted: {kind: paste, onto: renders, num_images: 2}}",
            f"arms={{real: {{role: reference}}, a: {{extra: {{{arm}: 0.5}}}}}}",
            "contrasts=[[a,real]]", "seeds=[0]", "version.dvc=false",
            "evaluation.shifted={kraft: {source: {kind: folder, path: own, format: coco}}}",
        ],
    )  # fmt: skip
    prepare, generate, version, *_ = plan(config, workspace)
    run_step(prepare)
    run_step(generate)

    with pytest.raises(
        DatasetError, match=r"evaluation\.shifted\.kraft: (.|\n)*same picture as 'renders-train-0"
    ):
        run_step(version)
