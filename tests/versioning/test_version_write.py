import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from version_pools import ALL_ARMS, Pools, recipes

from synthdata.boxes import cxcywh_to_xyxy
from synthdata.config.version import VersionConfig
from synthdata.errors import VersioningError
from synthdata.files import sha256_file
from synthdata.manifest import load_dataset


def _tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def test_every_arm_has_a_list_of_the_same_length(written: Callable[..., Path]) -> None:
    out_dir = written()
    assert sorted(path.name for path in (out_dir / "arms").iterdir()) == sorted(ALL_ARMS)
    for name in ALL_ARMS:
        folder = out_dir / "arms" / name
        lines = (folder / "train.txt").read_text().splitlines()
        assert len(lines) == 16
        assert {folder / line for line in lines} == set((folder / "images").iterdir())


def test_arm_holds_the_images_boxes_and_rows_of_its_sources(
    pools: Pools, written: Callable[..., Path]
) -> None:
    folder = written() / "arms" / "synthetic_filtered"
    dataset = load_dataset(folder)
    expected = [*pools.prepared.split("train"), *pools.filtered]
    assert [s.sample_id for s in dataset] == [s.sample_id for s in expected]
    for got, source in zip(dataset, expected, strict=True):
        assert (got.origin, got.pool, got.seed) == (source.origin, source.pool, source.seed)
        assert sha256_file(folder / got.path) == source.sha256 == got.sha256
        np.testing.assert_allclose(got.annotations.xyxy, source.annotations.xyxy, atol=1e-4)
        rows = np.loadtxt(folder / "labels" / f"{got.sample_id}.txt", ndmin=2)
        np.testing.assert_array_equal(rows[:, 0], source.annotations.class_id)
        boxes = cxcywh_to_xyxy(rows[:, 1:].astype(np.float32), width=got.width, height=got.height)
        np.testing.assert_allclose(boxes, source.annotations.xyxy, atol=1e-3)


def test_evaluation_splits_stand_beside_the_arms(written: Callable[..., Path]) -> None:
    out_dir = written()
    for name in ("val", "test"):
        dataset = load_dataset(out_dir / "eval" / name)
        assert [s.sample_id for s in dataset] == [f"{name}-000", f"{name}-001"]
        assert {path.stem for path in (dataset.root / "labels").iterdir()} == {
            s.sample_id for s in dataset
        }


def test_card_counts_what_is_there(written: Callable[..., Path]) -> None:
    folder = written() / "arms" / "copy_paste"
    card = json.loads((folder / "card.json").read_text())
    lines = Counter((folder / "train.txt").read_text().splitlines())
    dataset = load_dataset(folder)
    objects = sum(sample.annotations.counts(3) for sample in dataset)
    assert card["images_by_origin"] == {"composited": 5, "real": 4}
    assert card["objects_per_class"] == dict(
        zip(dataset.class_names, objects.tolist(), strict=True)  # type: ignore[union-attr]
    )
    assert card["training_lists"]["train.txt"]["parts"]["copy_paste"] == {
        "images": 5, "places": 8, "repeats_min": 1, "repeats_max": 2
    }  # fmt: skip
    assert max(lines.values()) == 2
    assert card["sources"]["pools"] == ["copy_paste"]
    text = (folder / "card.md").read_text()
    assert "9 images (5 composited, 4 real)" in text
    assert f"| RBC | {card['objects_per_class']['RBC']} |" in text
    assert card["config_sha256"] in text


def test_writing_again_gives_the_same_bytes(written: Callable[..., Path]) -> None:
    out_dir = written()
    before = _tree(out_dir)
    shutil.rmtree(out_dir / "arms" / "synthetic")
    (out_dir / "arms" / "real" / "stray.txt").write_text("of a user")
    written()
    assert _tree(out_dir) == before


def test_another_seed_gives_another_list_of_the_same_images(written: Callable[..., Path]) -> None:
    first, second = written(seed=0) / "arms" / "real", written(seed=1) / "arms" / "real"
    lists = [(folder / "train.txt").read_text().splitlines() for folder in (first, second)]
    assert lists[0] != lists[1]
    assert sorted(lists[0]) == sorted(lists[1])


def test_an_id_used_twice_is_refused_and_leaves_no_arm(pools: Pools, tmp_path: Path) -> None:
    sample = replace(pools.filtered.samples[0], sample_id="train-000")
    clash = replace(pools, filtered=replace(pools.filtered, samples=(sample,)))
    section = VersionConfig(list_length=16, arms=recipes("real", "synthetic_filtered"))
    with pytest.raises(VersioningError, match="two images have the id 'train-000'"):
        clash.write(tmp_path, section)
    assert [path.name for path in (tmp_path / "arms").iterdir()] == ["real"]


_CHECK = """
import json, sys
from ultralytics.data.utils import check_det_dataset, IMG_FORMATS
from ultralytics.data.dataset import YOLODataset
data = check_det_dataset(sys.argv[1], autodownload=False)
sizes = {}
for name in ("train", "val", "test"):
    dataset = YOLODataset(img_path=data[name], data=data, imgsz=64, augment=False)
    sizes[name] = [len(dataset), sum(len(label["cls"]) for label in dataset.labels)]
print(json.dumps({"sizes": sizes, "names": data["names"]}))
"""


def test_ultralytics_reads_the_arm_from_any_folder(
    pools: Pools, written: Callable[..., Path], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    written().rename(moved)
    folder = moved / "arms" / "synthetic"
    assert "path" not in yaml.safe_load((folder / "data.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-c", _CHECK, str(folder / "data.yaml")],
        cwd="/",
        env=os.environ | {"YOLO_CONFIG_DIR": str(tmp_path), "YOLO_VERBOSE": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    objects = {s.sample_id: len(s.annotations) for s in load_dataset(folder)}
    lines = (folder / "train.txt").read_text().splitlines()
    assert found["sizes"]["train"] == [16, sum(objects[Path(line).stem] for line in lines)]
    for name in ("val", "test"):
        split = pools.prepared.split(name)  # type: ignore[arg-type]
        assert found["sizes"][name] == [2, sum(len(s.annotations) for s in split)]
    assert found["names"] == {"0": "RBC", "1": "WBC", "2": "Platelets"}


def test_images_open(written: Callable[..., Path]) -> None:
    for path in (written() / "arms" / "oracle" / "images").iterdir():
        with Image.open(path) as image:
            assert image.size == (64, 48)
