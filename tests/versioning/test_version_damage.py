"""Bytes that flip in DVC's cache or in the remote, by the real DVC."""

import shutil
from pathlib import Path

import pytest
from version_pools import History

from synthdata.errors import VersioningError
from synthdata.versioning.compare import compare_versions
from synthdata.versioning.dvc import REMOTE, find_remote, run_dvc

VERSION = Path("data/versions/demo/seed-0")
ARM = VERSION / "arms" / "real"
REMOTE_FOLDER = Path(".synthdata/dvc-remote")
IMAGE, LABEL = ARM / "images" / "train-000.png", ARM / "labels" / "train-000.txt"


@pytest.fixture
def repository(history: History, tmp_path: Path) -> Path:
    """A copy of the repository, whose remote lies inside it."""
    shutil.copytree(history.repository, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def _object(store: Path, content: bytes) -> Path:
    """Return the object of that content, which DVC names by its MD5."""
    (found,) = (
        path
        for path in (store / "files" / "md5").rglob("*")
        if path.is_file() and path.read_bytes() == content
    )
    return found


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)  # read-only: DVC trusts what it protects


@pytest.mark.parametrize("file", [IMAGE, LABEL])
def test_a_flip_in_the_cache_is_named_and_mended_from_the_remote(
    repository: Path, file: Path
) -> None:
    damaged = _object(repository / ".dvc" / "cache", (repository / file).read_bytes())
    _flip(damaged)

    with pytest.raises(VersioningError) as error:
        compare_versions(f"v2:{ARM}", repository / ARM, workspace=repository)
    message = str(error.value)
    assert f"v2:{ARM} is damaged in DVC's cache or remote, and isn't used" in message
    assert file.relative_to(ARM).as_posix() in message
    assert f"md5 {damaged.parent.name}{damaged.name} was recorded" in message
    assert message.count("was recorded") == 1

    damaged.unlink()
    run_dvc([["fetch"]], repository)
    found = compare_versions(f"v2:{ARM}", repository / ARM, workspace=repository)
    assert found.images.changed == ()


def test_a_flip_in_the_remote_is_named_and_never_checked_out(repository: Path) -> None:
    _flip(_object(repository / REMOTE_FOLDER, (repository / IMAGE).read_bytes()))
    shutil.rmtree(repository / ".dvc" / "cache")

    with pytest.raises(VersioningError, match=r"damaged.*images/train-000\.png \(md5 \w{32} was"):
        compare_versions(f"v2:{ARM}", repository / ARM, workspace=repository)
    shutil.rmtree(repository / VERSION)
    with pytest.raises(VersioningError, match=r"Checkout failed[\s\S]*data/versions/demo/seed-0"):
        run_dvc([["pull", f"{VERSION}.dvc"]], repository)
    assert not (repository / IMAGE).exists()


def test_a_remote_that_did_not_verify_does_from_now_on(repository: Path) -> None:
    config = repository / ".dvc" / "config"
    assert find_remote(repository, repository, None) == (REMOTE, [])
    config.write_text(config.read_text().replace("verify = true", ""))
    verify = ["remote", "modify", REMOTE, "verify", "true"]
    assert find_remote(repository, repository, None) == (REMOTE, [verify])
