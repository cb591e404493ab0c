"""Images that belong together: by name, by look, and by both."""

from pathlib import Path
from typing import Any

import pytest
from broken_folders import write_blobs
from PIL import Image
from pydantic import ValidationError

from synthdata.config.evaluation import ShiftedSetConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.datasets.prepare import prepare
from synthdata.datasets.shifted import read_shifted
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset

LABEL = "0 0.5 0.5 0.2 0.2\n"


def write_folder(root: Path, **splits: dict[str, int]) -> Path:
    """Write a YOLO folder: by split, the images' stems and seeds; a seed repeated is a copy."""
    for split, seeds in splits.items():
        (root / "labels" / split).mkdir(parents=True)
        for number, (stem, seed) in enumerate(seeds.items()):
            path = root / "images" / split / f"{stem}.png"
            write_blobs(path, seed=seed)
            if seed in list(seeds.values())[:number]:  # saved again, with loss
                with Image.open(path) as image:
                    image.save(path.with_suffix(".jpg"), quality=70)
                path.unlink()
            (root / "labels" / split / f"{stem}.txt").write_text(LABEL)
    lines = [f"{split}: images/{split}" for split in splits]
    (root / "data.yaml").write_text("\n".join([*lines, "names: [thing]\n"]))
    return root


def run(root: Path, out_dir: Path, **values: Any) -> tuple[dict[str, Any], DetectionDataset]:
    source = {"kind": "folder", "path": str(root), "format": "yolo"}
    config = PrepareConfig.model_validate({"source": source, "min_instances": 0, **values})
    metrics = prepare(config, raw_dir=out_dir, out_dir=out_dir)
    return metrics, load_dataset(out_dir)


def groups(dataset: DetectionDataset) -> dict[str, str]:
    return dict(zip((s.sample_id for s in dataset), dataset.groups(), strict=True))


def test_names_and_looks_join_images(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "data",
        train={"s1_a": 1, "x": 2, "y": 2},
        val={"s2_a": 11, "s2_b": 12, "s3_a": 12, "s4_a": 13, "single": 14, "twin": 15, "twix": 15},
        test={"s5_a": 21, "s5_b": 22, "s6_a": 23},
    )
    _, dataset = run(root, tmp_path / "out", group_by=r"^(s\d)_")
    assert groups(dataset) == {
        # In train only names count: nothing there is resampled.
        "s1_a": "name:s1", "x": "x", "y": "y",
        # s2_b and s3_a look alike, so that all tiles of both belong together.
        "s2_a": "name:s2", "s2_b": "name:s2", "s3_a": "name:s2", "s4_a": "name:s4",
        "single": "single", "twin": "alike:twin", "twix": "alike:twin",
        "s5_a": "name:s5", "s5_b": "name:s5", "s6_a": "name:s6",
    }  # fmt: skip


def test_without_a_pattern_looks_alone_join_images(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "data", train={"a": 1}, val={"b": 2, "c": 3, "d": 3}, test={"e": 4}
    )
    _, dataset = run(root, tmp_path / "out")
    assert {s.sample_id: s.group for s in dataset} == {
        "a": "", "b": "", "c": "alike:c", "d": "alike:c", "e": ""
    }  # fmt: skip


def test_a_group_is_not_taken_for_an_image_of_its_name(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "data", train={"a": 1}, val={"tile": 2, "tile_1": 3, "tile_2": 4}, test={"e": 5}
    )
    _, dataset = run(root, tmp_path / "out", group_by=r"(.*)_\d")
    assert len(set(dataset.split("val").groups())) == 2


def test_a_group_stays_in_one_split_where_splits_are_made(tmp_path: Path) -> None:
    stems = {f"slide{number // 3}_{number % 3}": number for number in range(24)}
    root = write_folder(tmp_path / "data", train=stems)
    for split_seed in range(3):
        source = {"kind": "folder", "path": str(root), "format": "yolo", "split_seed": split_seed}
        _, dataset = run(root, tmp_path / str(split_seed), source=source, group_by=r"^(slide\d+)_")
        places = {(sample.group, sample.split) for sample in dataset}
        assert len(places) == len({sample.group for sample in dataset}) == 8
        assert {split for _, split in places} == {"train", "val", "test"}


def test_a_group_in_train_and_test_is_a_counted_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(
        tmp_path / "data",
        train={"s1_a": 1, "s2_a": 2},
        val={"s3_a": 3},
        test={"s1_b": 4, "s3_b": 5},
    )
    metrics, _ = run(root, tmp_path / "out", group_by=r"(s\d)_")
    assert metrics["warnings"] == {"group_across_splits": 1}
    assert "images/test/s1_b.png: warning: this image in test belongs to 's1', as" in caplog.text


def test_shifted_sets_have_groups_of_their_own(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", train={"a": 1}, val={"b": 2}, test={"c": 3})
    other = write_folder(
        tmp_path / "other", val={"cam1-1": 11, "cam1-2": 12, "x": 13}, test={"y": 13}
    )
    source = {"kind": "folder", "path": str(other), "format": "yolo"}
    config = ShiftedSetConfig.model_validate({"source": source, "group_by": "(cam.)-"})
    _, own = run(root, tmp_path / "out")
    cameras = read_shifted({"cameras": config}, run=own, raw_dir=tmp_path)["cameras"]
    assert cameras.metrics["warnings"] == {}
    assert groups(cameras.dataset) == {
        "cameras-cam1-1": "name:cam1", "cameras-cam1-2": "name:cam1",
        "cameras-x": "alike:x", "cameras-y": "alike:x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "must be a regular expression, got"),
        (r"slide\d+", r"must have one group in parentheses.*got 0 in"),
        (r"(a)(b)", "got 2 in"),
    ],
)
def test_patterns_that_name_no_group(pattern: str, message: str) -> None:
    values = {"source": {"kind": "bccd"}, "group_by": pattern}
    with pytest.raises(ValidationError, match=message):
        PrepareConfig.model_validate(values)


def test_a_match_of_nothing_joins_nothing(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", train={"a": 1}, val={"b": 2, "c": 3}, test={"d": 4})
    _, dataset = run(root, tmp_path / "out", group_by=r"(z*)")
    assert len(set(dataset.groups())) == 4
