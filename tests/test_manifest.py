import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from builders import random_annotations, write_dataset
from synthdata.errors import DamagedFileError, DatasetError
from synthdata.manifest import (
    ANNOTATIONS,
    MANIFEST,
    load_dataset,
    load_layouts,
    save_dataset,
    save_layouts,
)
from synthdata.samples import Annotations, DetectionDataset, Layout, Sample


def test_a_data_set_goes_to_disk_and_back(tmp_path: Path) -> None:
    written = write_dataset(tmp_path)
    read = load_dataset(tmp_path)
    assert read.class_names == written.class_names
    for a, b in zip(written, read, strict=True):
        np.testing.assert_allclose(a.annotations.xyxy, b.annotations.xyxy, rtol=1e-6)
        assert a.annotations.class_id.tolist() == b.annotations.class_id.tolist()
        assert (a.sample_id, a.path, a.sha256, a.split) == (b.sample_id, b.path, b.sha256, b.split)


def test_how_an_image_was_made_is_kept(tmp_path: Path) -> None:
    made = Sample(
        sample_id="synthetic-layout-00001",
        path=Path("images/synthetic-layout-00001.png"),
        width=64,
        height=48,
        annotations=Annotations.empty(),
        origin="generated",
        seed=2**63 - 1,
        layout_id="layout-00001",
        prompt="a photo with nothing",
        pool="synthetic",
        config_sha256="0" * 64,
    )
    save_dataset(DetectionDataset(tmp_path, ("a",), (made,)))
    assert load_dataset(tmp_path, images=False).samples == (made,)


def test_groups_are_kept_and_an_older_manifest_without_them_is_read(tmp_path: Path) -> None:
    written = write_dataset(tmp_path)
    first = replace(written.samples[0], group="name:slide7")
    save_dataset(replace(written, samples=(first, *written.samples[1:])))
    assert [s.group for s in load_dataset(tmp_path)][:2] == ["name:slide7", ""]
    pd.read_parquet(tmp_path / MANIFEST).drop(columns="group").to_parquet(tmp_path / MANIFEST)
    older = load_dataset(tmp_path)
    assert {s.group for s in older} == {""}
    assert older.groups() == [s.sample_id for s in older]


def test_an_empty_data_set_is_valid(tmp_path: Path) -> None:
    save_dataset(DetectionDataset(tmp_path, ("a", "b")))
    assert load_dataset(tmp_path) == DetectionDataset(tmp_path, ("a", "b"))


def test_layouts_go_to_disk_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layouts = [Layout(f"layout-{i:05}", 64, 48, random_annotations(rng)) for i in range(3)]
    save_layouts(tmp_path, layouts, ("a", "b", "c"))
    read = load_layouts(tmp_path)
    assert [layout.layout_id for layout in read] == [layout.layout_id for layout in layouts]
    np.testing.assert_allclose(read[1].annotations.xyxy, layouts[1].annotations.xyxy, rtol=1e-6)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"must hold {MANIFEST} and {ANNOTATIONS}"):
        load_dataset(tmp_path)


def test_a_manifest_that_does_not_match_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    coco = json.loads((tmp_path / ANNOTATIONS).read_text())
    coco["images"][1]["file_name"] = "other.png"
    (tmp_path / ANNOTATIONS).write_text(json.dumps(coco))
    with pytest.raises(DatasetError, match="has no image 'image-001.png'"):
        load_dataset(tmp_path)


def test_a_lost_image_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "images" / "image-002.png").unlink()
    with pytest.raises(DatasetError, match=r"lost 1 of its 4 images, images/image-002\.png"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST, ANNOTATIONS])
@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, size: int) -> None:
    write_dataset(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedFileError, match=f"{name} can't be read"):
        load_dataset(tmp_path)
