import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthdata.config.generate import GenerateConfig
from synthdata.files import sha256_file
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.manifest import load_dataset, load_layouts, save_layouts
from synthdata.samples import DetectionDataset, Layout
from synthdata.seeding import derive_seed

Fitted = tuple[Path, DetectionDataset]


def section(*, num_inference_steps: int = 2, **values: Any) -> GenerateConfig:
    generator = {"kind": "controlnet", "num_inference_steps": num_inference_steps, "device": "cpu"}
    pools = {
        "synthetic": {"kind": "generator", "generator": generator},
        "copy_paste": {"kind": "paste", "num_images": 3},
    }
    return GenerateConfig.model_validate({"seed": 5, "pools": pools} | values)


def layouts_of(train: DetectionDataset, num: int) -> list[Layout]:
    return [
        Layout(f"layout-{i:05d}", s.width, s.height, s.annotations)
        for i, s in enumerate((train.samples * num)[:num])
    ]


def make(fitted: Fitted, config: GenerateConfig, num: int, out_dir: Path) -> dict[str, Any]:
    model_dir, train = fitted
    nothing = replace(train, samples=())
    inputs = PoolInputs(train, nothing, {0.0: layouts_of(train, num)}, model_dir)
    return generate_pools(config, inputs, out_dir=out_dir)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "images").iterdir())}


def test_each_pool_has_an_image_a_layout_and_the_manifest_says_how(
    fitted: Fitted, tmp_path: Path
) -> None:
    metrics = make(fitted, section(shard_size=2), 3, tmp_path)

    made = load_dataset(tmp_path)
    assert [sample.sample_id for sample in made] == [
        f"{pool}-layout-{i:05d}" for pool in ("synthetic", "copy_paste") for i in range(3)
    ]
    assert made.class_names == fitted[1].class_names
    for sample in made:
        assert sample.split == "train"
        assert sample.seed == derive_seed(5, sample.sample_id)
        assert sample.sha256 == sha256_file(made.image_path(sample))
        assert len(sample.config_sha256) == 64
        with Image.open(made.image_path(sample)) as image:
            assert (image.mode, image.size) == ("RGB", (sample.width, sample.height))
    synthetic = made.where(pool="synthetic")
    assert {sample.origin for sample in synthetic} == {"generated"}
    assert synthetic.samples[0].prompt.startswith("a blood smear with ")
    assert np.allclose(
        synthetic.samples[0].annotations.xyxy, fitted[1].samples[0].annotations.xyxy, atol=1e-4
    )
    pasted = made.where(pool="copy_paste")
    assert {(sample.origin, sample.prompt) for sample in pasted} == {("composited", "")}
    for pool in ("synthetic", "copy_paste"):
        assert metrics["pools"][pool]["images"] == 3
        assert metrics["pools"][pool]["images_per_s"] > 0


def test_shard_size_does_not_change_the_images(fitted: Fitted, tmp_path: Path) -> None:
    make(fitted, section(shard_size=3), 3, tmp_path / "one")
    make(fitted, section(shard_size=1), 3, tmp_path / "three")

    one, three = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "three")
    assert one.keys() == three.keys()
    for name in one:
        difference = [
            np.asarray(Image.open(tmp_path / folder / "images" / name), dtype=int)
            for folder in ("one", "three")
        ]
        assert np.abs(difference[0] - difference[1]).max() <= 1


_GENERATE = """
import sys
from pathlib import Path
import torch
from synthdata.config.generate import GenerateConfig
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.manifest import load_dataset, load_layouts
section, model_dir, train, layouts, out_dir, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
train = load_dataset(Path(train))
inputs = PoolInputs(train, train.split(), {0.0: load_layouts(Path(layouts))}, Path(model_dir))
generate_pools(GenerateConfig.model_validate_json(section), inputs, out_dir=Path(out_dir))
"""


def test_a_killed_generate_goes_on_and_ends_with_the_same_bytes(
    fitted: Fitted, tmp_path: Path
) -> None:
    model_dir, train = fitted[0], load_dataset(fitted[1].root)
    config = section(shard_size=2, num_inference_steps=8)
    save_layouts(tmp_path / "layouts", layouts_of(train, 12), train.class_names)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    arguments = [config.model_dump_json(), *map(str, (model_dir, train.root, tmp_path / "layouts"))]
    process = subprocess.Popen(
        [sys.executable, "-c", _GENERATE, *arguments, str(killed), str(torch.get_num_threads())],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (killed / "shards" / "synthetic-00001.json").is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    records = {path: path.stat().st_mtime_ns for path in (killed / "shards").glob("s*.json")}
    assert 2 <= len(records) < 6, "killed in the middle"
    assert not (killed / "manifest.parquet").exists()

    layouts = load_layouts(tmp_path / "layouts")
    inputs = PoolInputs(train, replace(train, samples=()), {0.0: layouts}, model_dir)
    generate_pools(config, inputs, out_dir=killed)
    generate_pools(config, inputs, out_dir=undisturbed)

    assert bytes_of(killed) == bytes_of(undisturbed)
    assert all(path.stat().st_mtime_ns == then for path, then in records.items()), "not redone"
    assert load_dataset(killed).samples == load_dataset(undisturbed).samples
