"""Small pools of images, as the stages before `version` leave them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from version_pools import ALL_ARMS, Pools

from builders import CLASS_NAMES, write_dataset
from synthdata.config.version import VersionConfig
from synthdata.samples import DetectionDataset


def _join(root: Path, *parts: DetectionDataset) -> DetectionDataset:
    samples = tuple(sample for part in parts for sample in part)
    return DetectionDataset(root=root, class_names=CLASS_NAMES, samples=samples)


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Pools:
    real, made = tmp_path_factory.mktemp("prepare"), tmp_path_factory.mktemp("generate")
    prepared = _join(
        real,
        write_dataset(real, num=4, split="train", seed=1, prefix="train"),
        write_dataset(real, num=3, split="reserve", seed=2, prefix="reserve"),
        write_dataset(real, num=2, split="val", seed=3, prefix="val"),
        write_dataset(real, num=2, split="test", seed=4, prefix="test"),
    )
    synthetic = write_dataset(made, num=6, seed=5, prefix="synthetic")
    pasted = write_dataset(made, num=5, seed=6, prefix="copy_paste")
    generated = _join(
        made,
        replace(
            synthetic,
            samples=tuple(
                replace(s, generator="synthetic", origin="generated", config_sha256="abc", seed=1)
                for s in synthetic
            ),
        ),
        replace(
            pasted,
            samples=tuple(
                replace(s, generator="copy_paste", origin="composited", seed=2) for s in pasted
            ),
        ),
    )
    pool = generated.where(generator="synthetic")
    return Pools(
        prepared=prepared,
        generated=generated,
        filtered=replace(pool, samples=pool.samples[:3]),
        random_drop=replace(pool, samples=pool.samples[3:]),
    )


@pytest.fixture
def written(pools: Pools, tmp_path: Path) -> Callable[..., Path]:
    """Write a version stage's folder in a workspace."""

    def write(workspace: Path = tmp_path, seed: int = 0, **values: object) -> Path:
        out_dir = workspace / "runs" / "demo" / f"seed-{seed}" / "version"
        defaults: dict[str, object] = {"seed": seed, "list_length": 16, "arms": ALL_ARMS}
        pools.write(out_dir, VersionConfig.model_validate(defaults | values))
        return out_dir

    return write
