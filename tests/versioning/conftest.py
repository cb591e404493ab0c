"""Small pools of images, as the stages before `version` leave them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from version_pools import ALL_ARMS, History, Pools, recipes

from builders import CLASS_NAMES, write_dataset
from synthdata.config.version import VersionConfig
from synthdata.samples import Annotations, DetectionDataset
from synthdata.versioning.git import run_git
from synthdata.versioning.publish import publish_versions


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
                replace(s, pool="synthetic", origin="generated", config_sha256="abc", seed=1)
                for s in synthetic
            ),
        ),
        replace(
            pasted,
            samples=tuple(
                replace(s, pool="copy_paste", origin="composited", seed=2) for s in pasted
            ),
        ),
    )
    pool = generated.where(pool="synthetic")
    return Pools(
        prepared=prepared,
        generated=generated,
        filtered=replace(pool, samples=pool.samples[:3]),
        random_drop=replace(pool, samples=pool.samples[3:]),
    )


def _write(
    pools: Pools,
    workspace: Path,
    *,
    seed: int = 0,
    arms: tuple[str, ...] = ALL_ARMS,
    **values: object,
) -> Path:
    out_dir = workspace / "runs" / "demo" / f"seed-{seed}" / "version"
    defaults: dict[str, object] = {"seed": seed, "list_length": 16, "arms": recipes(*arms)}
    pools.write(out_dir, VersionConfig.model_validate(defaults | values))
    return out_dir


@pytest.fixture
def written(pools: Pools, tmp_path: Path) -> Callable[..., Path]:
    """Write a version stage's folder in a workspace."""

    def write(workspace: Path = tmp_path, **values: object) -> Path:
        return _write(pools, workspace, **values)  # type: ignore[arg-type]

    return write


def _make_repository(folder: Path) -> Path:
    folder.mkdir()
    run_git(["init", "--quiet"], folder)
    run_git(["config", "user.name", "test"], folder)
    run_git(["config", "user.email", "test@example.invalid"], folder)
    (folder / ".gitignore").write_text("/runs/\n")
    run_git(["add", ".gitignore"], folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Git repository without a commit, in which the run folder is ignored."""
    return _make_repository(tmp_path / "project")


@pytest.fixture(scope="session")
def history(pools: Pools, tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = _make_repository(tmp_path_factory.mktemp("history") / "project")
    (folder / "mine.txt").write_text("staged by the user")
    run_git(["add", "mine.txt"], folder)

    out_dir = _write(pools, folder, arms=("real",))
    first = publish_versions([out_dir], workspace=folder, commit=True)
    run_git(["tag", "v1"], folder)
    (out_dir / "arms" / "real" / "labels.cache").write_bytes(b"as ultralytics leaves it")
    again = publish_versions([out_dir], workspace=folder, commit=True)

    samples = pools.prepared.samples
    box = samples[1].annotations
    moved = replace(samples[1], annotations=Annotations(box.xyxy + 1, box.class_id))
    fewer = replace(pools.prepared, samples=(samples[0], moved, *samples[3:]))
    out_dir = _write(replace(pools, prepared=fewer), folder, arms=("real",))
    changed = publish_versions([out_dir], workspace=folder, commit=True)
    run_git(["tag", "v2"], folder)
    return History(folder, (*first, *again, *changed))
