"""Stage `generate` of a config without a diffusion model: a folder, and pasting onto it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from builders import write_dataset
from synthdata.config import load_config
from synthdata.errors import DatasetError, GenerationError
from synthdata.formats.yolo import save_yolo
from synthdata.manifest import load_dataset
from synthdata.plan import plan
from synthdata.runfolder import StageResult
from synthdata.stages import run_step

# The pool that builds on another comes first: the plan puts them in order.
CONFIG = """\
extends: smoke.yaml
name: pasted
seeds: [0]
pools:
  on_renders: {kind: paste, onto: renders, num_images: 6, max_overlap: 0.0, num_objects: [2, 3]}
  renders: {kind: folder, path: renders, format: yolo}
arms:
  real: {role: reference}
  both: {extra: {on_renders: 0.4, renders: 0.1}}
contrasts: [[both, real]]
prepare:
  source: {kind: folder, path: real, format: yolo, val_fraction: 0.25, test_fraction: 0.25}
  train_images: null
  image_size: null
  ceiling_images: null
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with real images of 64x48 px and renders of twice that size."""
    save_yolo(write_dataset(tmp_path / "a", num=8, prefix="real"), tmp_path / "real")
    renders = write_dataset(tmp_path / "b", num=3, size=(128, 96), seed=7, prefix="scene")
    save_yolo(renders, tmp_path / "renders")
    (tmp_path / "mine.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def generate(workspace: Path, *overrides: str) -> StageResult:
    """Run the config's stages up to generate, in the current folder: the workspace."""
    steps = plan(load_config("mine.yaml", overrides), workspace)
    results = [run_step(step) for step in steps[:2]]
    assert [result.stage for result in results] == ["prepare", "generate"]
    return results[1]


def test_objects_are_pasted_onto_the_pool_whose_labels_are_kept(workspace: Path) -> None:
    out_dir = generate(workspace).out_dir

    manifest = pd.read_parquet(out_dir / "manifest.parquet")
    assert Counter(manifest["pool"]) == {"renders": 3, "on_renders": 6}
    assert set(zip(manifest["pool"], manifest["origin"], strict=True)) == {
        ("renders", "provided"), ("on_renders", "composited"),
    }  # fmt: skip
    made = load_dataset(out_dir)
    canvases = {
        one.annotations.xyxy.tobytes(): (one, pixels(made.image_path(one)))
        for one in made.where(pool="renders")
    }
    used = set()
    for pasted in made.where(pool="on_renders"):
        kept = pasted.annotations.xyxy[:5]
        below, canvas = canvases[kept.tobytes()]
        used.add(below.sample_id)
        np.testing.assert_array_equal(pasted.annotations.class_id[:5], below.annotations.class_id)
        assert len(pasted.annotations) > 5
        changed = (pixels(made.image_path(pasted)) != canvas).any(axis=2)
        assert changed.any()
        for x1, y1, x2, y2 in pasted.annotations.xyxy[5:]:
            # The border that is blended is a little wider than the box.
            changed[max(int(y1) - 3, 0) : int(y2) + 4, max(int(x1) - 3, 0) : int(x2) + 4] = False
        assert not changed.any(), "where nothing was pasted, the canvas is as it was"
    assert len(used) > 1


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_same_seed_same_bytes(workspace: Path) -> None:
    first = generate(workspace).out_dir
    again = generate(workspace, "name=again").out_dir
    other = generate(workspace, "name=other", "seeds=[1]").out_dir

    def of(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}

    assert first != again
    assert of(first) == of(again)
    assert (first / "manifest.parquet").read_bytes() == (again / "manifest.parquet").read_bytes()
    differing = {name for name, content in of(first).items() if content != of(other)[name]}
    assert differing == {f"on_renders-layout-0000{i}.png" for i in range(6)}


def test_the_stage_follows_what_is_in_the_folder(workspace: Path) -> None:
    assert not generate(workspace).reused
    assert generate(workspace).reused
    label = workspace / "renders" / "labels" / "train" / "scene-001.txt"
    before = label.read_text()
    label.write_text("".join(before.splitlines(keepends=True)[:3]))

    changed = generate(workspace)

    assert not changed.reused
    made = load_dataset(changed.out_dir)
    assert {one.sample_id: len(one.annotations) for one in made.where(pool="renders")} == {
        "renders-scene-000": 5, "renders-scene-001": 3, "renders-scene-002": 5,
    }  # fmt: skip
    label.write_text(before)
    assert generate(workspace).reused, "what was set aside is found again"


def test_an_error_leaves_nothing_that_counts_as_done(workspace: Path) -> None:
    label = workspace / "renders" / "labels" / "train" / "scene-001.txt"
    sound = label.read_text()
    label.write_text("7 0.5 0.5 0.1 0.1\n")

    with pytest.raises(DatasetError, match=r"pools\.renders: (.|\n)*scene-001\.txt:1: error"):
        generate(workspace)

    out_dir = workspace / "runs" / "pasted" / "seed-0" / "generate"
    assert not list(out_dir.rglob("*.png"))
    assert not (out_dir / "manifest.parquet").exists()
    assert not (out_dir / "config.yaml").exists()
    label.write_text(sound)
    assert generate(workspace).metrics["pools"]["renders"]["images"] == 3


def test_another_pool_repeats_no_image_of_those_that_are_there(workspace: Path) -> None:
    folder = generate(workspace).out_dir
    before = {path: path.stat().st_ino for path in sorted((folder / "images").iterdir())}
    assert len(before) > 4

    more = generate(
        workspace,
        "pools.more={kind: paste, num_images: 3}",
        "arms.more={extra: {more: 0.5}}",
    )

    assert not more.reused
    kept = {path for path, inode in before.items() if path.stat().st_ino == inode}
    assert {path for path in before if "on_renders" in path.name} <= kept
    added = {path.name for path in (folder / "images").iterdir()} - {path.name for path in before}
    assert added == {f"more-layout-{i:05d}.png" for i in range(3)}
    other = generate(workspace, "pools.on_renders.num_objects=[1,1]")
    remade = {p for p, inode in before.items() if p.is_file() and p.stat().st_ino != inode}
    assert {path for path in before if "on_renders" in path.name} <= remade
    assert not other.reused
    assert not list((folder / "images").glob("more-*")), "of a pool that is no more"


def test_pools_whose_images_would_share_an_id_are_refused(workspace: Path) -> None:
    for kind, suffix in (("images", ".png"), ("labels", ".txt")):
        file = workspace / "renders" / kind / "train" / f"scene-000{suffix}"
        file.rename(file.with_name(f"2-scene-000{suffix}"))
    twin = write_dataset(workspace / "c", num=1, size=(128, 96), seed=8, prefix="scene")
    save_yolo(twin, workspace / "more")

    with pytest.raises(
        GenerationError, match=r"'renders' and 'renders-2' both have an image 'renders-2-scene-000'"
    ):
        generate(
            workspace,
            "pools.renders-2={kind: folder, path: more, format: yolo}",
            "arms.both.extra.renders-2=0.1",
        )
