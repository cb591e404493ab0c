import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from version_pools import History, Pools

from builders import CLASS_NAMES, write_dataset
from synthdata.errors import DatasetError, VersioningError
from synthdata.manifest import save_dataset
from synthdata.samples import Annotations, DetectionDataset
from synthdata.versioning.compare import compare_versions, render
from synthdata.versioning.git import run_git
from synthdata.versioning.objects import class_changes, match_objects

ARM = "data/versions/demo/seed-0/arms/real"


def _annotations(*rows: tuple[float, float, float, float, int]) -> Annotations:
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Annotations(xyxy=values[:, :4], class_id=values[:, 4].astype(np.int64))


def _dataset(root: Path) -> DetectionDataset:
    return write_dataset(root, num=4, seed=7)


def test_same_folder_has_no_changes(tmp_path: Path) -> None:
    _dataset(tmp_path)
    found = compare_versions(tmp_path, tmp_path)
    assert (found.images.added, found.images.removed, found.images.changed) == ((), (), ())
    assert found.images.unchanged == 4
    assert [entry.class_name for entry in found.classes] == list(CLASS_NAMES)
    assert sum(entry.objects_a for entry in found.classes) == 20
    assert all(entry.added == entry.removed == entry.changed == 0 for entry in found.classes)


def test_images_are_compared_by_id_and_by_their_bytes(tmp_path: Path) -> None:
    a, b = _dataset(tmp_path / "a"), _dataset(tmp_path / "b")
    other = a.samples[0]
    (b.root / b.samples[2].path).write_bytes((a.root / other.path).read_bytes())
    changes = {2: {"sha256": other.sha256}, 3: {"sample_id": "new-3"}}
    kept = tuple(replace(s, **changes.get(i, {})) for i, s in enumerate(b))  # type: ignore[arg-type]
    save_dataset(replace(b, samples=kept[1:]))
    images = compare_versions(tmp_path / "a", tmp_path / "b").images
    assert images.removed == ("image-000", "image-003")
    assert images.added == ("new-3",)
    assert images.changed == ("image-002",)
    assert images.unchanged == 1


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_file_that_differs_from_its_own_manifest_is_refused(tmp_path: Path, which: str) -> None:
    _dataset(tmp_path / "a")
    _dataset(tmp_path / "b")
    sample = _dataset(tmp_path / which).samples[1]
    path = tmp_path / which / sample.path
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)

    with pytest.raises(VersioningError) as error:
        compare_versions(tmp_path / "a", tmp_path / "b")
    for part in (
        str(path),
        sample.sha256,
        hashlib.sha256(flipped).hexdigest(),
        "can't be compared",
    ):
        assert part in str(error.value)
    path.unlink()
    with pytest.raises(VersioningError, match=r"image-001.png \(sha256 .*no file is there\)"):
        compare_versions(tmp_path / "a", tmp_path / "b")
    path.write_bytes(flipped)
    (tmp_path / which / "manifest.parquet").unlink()
    assert compare_versions(tmp_path / "a", tmp_path / "b").images.changed == ("image-001",)


def test_objects_are_matched_once_each_in_images_of_both() -> None:
    a = _annotations((0, 0, 10, 10, 0), (20, 0, 30, 10, 0), (40, 0, 50, 10, 1), (60, 0, 70, 10, 1))
    b = _annotations(
        (60, 0, 70, 10, 1),  # as it was
        (1, 0, 11, 10, 0),  # moved
        (40, 0, 50, 10, 2),  # relabelled
        (0, 20, 10, 30, 2),  # new
    )
    rbc, wbc, platelets = class_changes(
        {"x": a, "only-a": a}, {"x": b, "only-b": b, "background": b.select(np.arange(0))},
        CLASS_NAMES,
    )  # fmt: skip
    assert (rbc.added, rbc.removed, rbc.changed) == (0, 1, 1)
    assert (wbc.added, wbc.removed, wbc.changed) == (0, 0, 1)
    assert (platelets.added, platelets.removed, platelets.changed) == (1, 0, 0)
    assert (rbc.objects_a, rbc.objects_b) == (4, 2)
    assert (wbc.objects_a, wbc.objects_b) == (4, 2)
    assert (platelets.objects_a, platelets.objects_b) == (0, 4)


def test_match_maximises_overlap_and_prefers_the_same_class() -> None:
    a = _annotations((0, 0, 10, 10, 0), (2, 0, 12, 10, 0))
    b = _annotations((2, 0, 12, 10, 1), (2, 0, 12, 10, 0), (0, 0, 10, 10, 0))
    assert match_objects(a, b).tolist() == [[0, 2], [1, 1]]
    assert match_objects(a, _annotations()).shape == (0, 2)
    assert match_objects(a, _annotations((50, 50, 60, 60, 0))).shape == (0, 2)


def test_classes_are_compared_by_name_not_by_position(tmp_path: Path) -> None:
    a, b = _dataset(tmp_path / "a"), _dataset(tmp_path / "b")
    swapped = tuple(
        replace(s, annotations=Annotations(s.annotations.xyxy, 2 - s.annotations.class_id))
        for s in b
    )
    save_dataset(replace(b, class_names=CLASS_NAMES[::-1], samples=swapped))
    found = compare_versions(a.root, b.root)
    assert [entry.class_name for entry in found.classes] == list(CLASS_NAMES)
    assert all(entry.objects_a == entry.objects_b for entry in found.classes)
    assert all(entry.changed == 0 for entry in found.classes)


def test_coco_folder_without_manifest_is_read(tmp_path: Path) -> None:
    a, b = _dataset(tmp_path / "a"), _dataset(tmp_path / "b")
    (b.root / "manifest.parquet").unlink()
    images = compare_versions(a.root, b.root).images
    assert (images.unchanged, images.added, images.removed) == (4, (), ())


def test_arms_show_their_cards_side_by_side(pools: Pools, written: Callable[..., Path]) -> None:
    arms = written() / "arms"
    found = compare_versions(arms / "real", arms / "synthetic")
    assert found.images.added == tuple(
        s.sample_id for s in pools.generated if s.pool == "synthetic"
    )
    assert found.images.unchanged == 4
    assert found.metrics["card.num_images"] == (4, 10)
    assert found.metrics["card.training_lists.train.txt.parts.synthetic.places"] == (None, 8)
    assert json.loads(json.dumps(found.to_json()))["metrics"]["card.num_images"] == [4, 10]

    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(render(found))
    text = capture.get()
    assert "synthetic-003, synthetic-004 and 1 more" in text
    assert "card.num_images" in text
    assert "+6" in text
    assert "card.training_lists.train.txt.length" not in text  # 16 in both


def test_git_revision_is_compared_and_the_working_tree_is_left_alone(history: History) -> None:
    folder = history.repository
    before = sorted(path.name for path in (folder / ARM / "images").iterdir())
    found = compare_versions(f"v1:{ARM}", folder / ARM, workspace=folder)
    assert found.images.removed == ("train-002",)
    assert found.images.unchanged == 3
    assert sum(entry.changed for entry in found.classes) == 5  # each box of one image moved
    assert sum(entry.added + entry.removed for entry in found.classes) == 0
    assert found.metrics["card.num_images"] == (4, 3)
    assert found.version_a == f"v1:{ARM}"
    assert sorted(path.name for path in (folder / ARM / "images").iterdir()) == before
    changes = run_git(["status", "--porcelain"], folder).splitlines()
    assert changes == ["A  .gitignore", "A  mine.txt"]  # as the user had staged them


def test_unknown_versions_are_explained(history: History, tmp_path: Path) -> None:
    folder = history.repository
    with pytest.raises(VersioningError, match=r"'v1' must be a folder, or REV:PATH such as"):
        compare_versions("v1", folder / ARM, workspace=folder)
    with pytest.raises(VersioningError, match="is in no DVC repository"):
        compare_versions(f"v1:{ARM}", folder / ARM, workspace=tmp_path)
    with pytest.raises(VersioningError, match=r"dvc get --rev v9[\s\S]*v9"):
        compare_versions(f"v9:{ARM}", folder / ARM, workspace=folder)
    with pytest.raises(DatasetError, match="name one of the data sets in it: arms/real, eval/test"):
        compare_versions(folder / "data/versions/demo/seed-0", folder / ARM)
    (tmp_path / "annotations.json").write_text('{"images": 3}')
    with pytest.raises(DatasetError, match="expected an array 'images'"):
        compare_versions(tmp_path, folder / ARM)
