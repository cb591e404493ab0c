"""What of a shard counts as made, after a crash, a lost file or another shard size."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from builders import write_dataset
from generators.test_pools import bytes_of, section
from synthdata.config.generate import GenerateConfig
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset


def paste(shard_size: int) -> GenerateConfig:
    return section(shard_size=shard_size, pools={"copy_paste": {"kind": "paste", "num_images": 6}})


def make(train: DetectionDataset, out_dir: Path, shard_size: int = 2) -> dict[str, bytes]:
    inputs = PoolInputs(train, held_out=replace(train, samples=()), layouts={})
    generate_pools(paste(shard_size), inputs, out_dir=out_dir)
    return bytes_of(out_dir)


def remade(train: DetectionDataset, out_dir: Path, shard_size: int = 2) -> set[str]:
    """Make what is missing, and return the shards that were made for it."""
    before = {path: path.stat().st_mtime_ns for path in (out_dir / "shards").iterdir()}
    make(train, out_dir, shard_size)
    return {
        path.stem.removeprefix("copy_paste-")
        for path in (out_dir / "shards").iterdir()
        if path.stat().st_mtime_ns != before.get(path)
    }


@pytest.fixture
def train(tmp_path: Path) -> DetectionDataset:
    return write_dataset(tmp_path / "real", num=6)


@pytest.fixture
def made(train: DetectionDataset, tmp_path: Path) -> Path:
    make(train, tmp_path / "made")
    return tmp_path / "made"


def image(folder: Path, number: int) -> Path:
    return folder / "images" / f"copy_paste-layout-{number:05d}.png"


def test_a_lost_image_is_made_again(train: DetectionDataset, made: Path) -> None:
    before = bytes_of(made)
    image(made, 3).unlink()
    assert remade(train, made) == {"00001"}
    assert bytes_of(made) == before


def test_a_changed_or_cut_image_is_made_again(train: DetectionDataset, made: Path) -> None:
    before = bytes_of(made)
    Image.new("RGB", (8, 8)).save(image(made, 0))
    image(made, 5).write_bytes(before[image(made, 5).name][:100])
    assert remade(train, made) == {"00000", "00002"}
    assert bytes_of(made) == before


@pytest.mark.parametrize("content", ["", '{"began": 1, "samp'], ids=["empty", "cut"])
def test_an_unreadable_record_counts_as_missing(
    train: DetectionDataset, made: Path, content: str
) -> None:
    before = bytes_of(made)
    (made / "shards" / "copy_paste-00001.json").write_text(content)
    assert remade(train, made) == {"00001"}
    assert bytes_of(made) == before


def test_nothing_is_made_again_where_all_is_there(train: DetectionDataset, made: Path) -> None:
    assert remade(train, made) == set()


@pytest.mark.parametrize("shard_size", [1, 4])
def test_an_unfinished_stage_goes_on_with_shards_of_another_size(
    train: DetectionDataset, made: Path, shard_size: int
) -> None:
    before, samples = bytes_of(made), load_dataset(made).samples
    (made / "shards" / "copy_paste-00002.json").unlink()
    image(made, 5).unlink()

    remade(train, made, shard_size)

    assert bytes_of(made) == before
    assert load_dataset(made).samples == samples
    assert remade(train, made, shard_size) == set()
