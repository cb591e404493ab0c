"""Real DVC, real Git, a real local remote."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from version_pools import History

from synthdata.errors import VersioningError
from synthdata.files import sha256_file
from synthdata.runfolder.record import CONFIG, write_key
from synthdata.versioning.dvc import dvc_root, find_repository, run_dvc
from synthdata.versioning.git import run_git
from synthdata.versioning.publish import find_published, publish_versions

Write = Callable[..., Path]
SMALL_FILES = {
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    "data/versions/demo/.gitignore",
    "data/versions/demo/seed-0.dvc",
}


def _tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _staged(folder: Path) -> set[str]:
    return set(run_git(["diff", "--cached", "--name-only"], folder).split())


def test_version_is_staged_in_git_and_comes_back_from_the_remote(
    repository: Path, written: Write
) -> None:
    out_dir = written(repository, arms=("real", "synthetic"))
    write_key(out_dir, "0" * 64, "version")
    (out_dir / CONFIG).touch()
    before = _tree(out_dir)

    (version,) = publish_versions([out_dir], workspace=repository)

    assert version["git"] is True
    assert version["commit"] is None
    assert version["dvc_file"] == "data/versions/demo/seed-0.dvc"
    assert _staged(repository) == SMALL_FILES | {".gitignore"}
    untouched = run_git(["status", "--porcelain"], repository).splitlines()
    assert all(line.startswith("A ") for line in untouched)  # nothing is left beside the index
    assert "core" in (repository / ".dvc" / "config").read_text()
    assert str(repository) not in (repository / ".dvc" / "config").read_text()
    assert "verify = true" in (repository / ".dvc" / "config").read_text()
    assert _tree(out_dir) == before
    found = {name: version[name] for name in ("dvc_file", "md5")}
    assert find_published(out_dir, repository) == found
    write_key(out_dir, "1" * 64, "version")
    assert find_published(out_dir, repository) is None, "another version is there since"
    write_key(out_dir, "0" * 64, "version")

    tracked = repository / version["path"]
    shutil.rmtree(tracked)
    shutil.rmtree(repository / ".dvc" / "cache")
    run_dvc([["pull", version["dvc_file"]]], repository)
    assert _tree(tracked) == {
        name: digest for name, digest in before.items() if name.startswith(("arms/", "eval/"))
    }
    # What the user edits there is theirs; the stage's folder keeps its bytes.
    image = next((tracked / "arms" / "real" / "images").iterdir())
    image.write_bytes(b"edited")
    assert _tree(out_dir) == before


def test_edits_are_committed_and_never_overwritten(repository: Path, written: Write) -> None:
    out_dir = written(repository, arms=("real",))
    publish_versions([out_dir], workspace=repository)
    label = repository / "data/versions/demo/seed-0/arms/real/labels/train-000.txt"
    made = label.read_text()
    label.write_text("0 0.5 0.5 0.25 0.25\n")

    (version,) = publish_versions([written(repository, arms=("real",))], workspace=repository,
                                  commit=True)  # fmt: skip
    assert label.read_text() == "0 0.5 0.5 0.25 0.25\n"
    assert version["commit"] == run_git(["rev-parse", "HEAD"], repository).strip()
    label.write_text(made)
    run_dvc([["checkout", "--force", version["dvc_file"]]], repository)
    assert label.read_text() == "0 0.5 0.5 0.25 0.25\n", "the commit holds the edit"

    other = written(repository, arms=("real",), list_length=32)
    message = (
        r"was edited[\s\S]*arms/real/labels/train-000\.txt\. [\s\S]*another name \(name=\.\.\.\)"
        r"[\s\S]*version\.dvc=false"
    )
    with pytest.raises(VersioningError, match=message):
        publish_versions([other], workspace=repository)
    assert label.read_text() == "0 0.5 0.5 0.25 0.25\n"


def test_second_run_is_a_commit_only_if_something_changed(history: History) -> None:
    first, again, changed = history.published
    folder = history.repository
    committed = run_git(["show", "--name-only", "--format=%s", "v1"], folder).split("\n")
    assert committed[0] == "Version demo/seed-0"
    assert set(committed[2:-1]) == SMALL_FILES  # not what the user had staged
    assert _staged(folder) == {".gitignore", "mine.txt"}
    assert again == first | {"commit": None}
    assert changed["md5"] != first["md5"]
    assert changed["commit"] == run_git(["rev-parse", "HEAD"], folder).strip()
    files = run_git(["show", "--name-only", "--format=", "v2"], folder).split()
    assert files == ["data/versions/demo/seed-0.dvc"]


def test_folder_without_git_takes_several_versions_at_once(tmp_path: Path, written: Write) -> None:
    out_dirs = [written(tmp_path, seed=seed, arms=("real",)) for seed in (0, 1)]
    shared = tmp_path / "runs" / "demo" / "seed-2"
    shared.mkdir()
    (shared / "version").symlink_to(Path("..") / "seed-1" / "version")

    versions = publish_versions([*out_dirs, shared / "version"], workspace=tmp_path)

    assert [version["path"] for version in versions] == [
        "data/versions/demo/seed-0",
        "data/versions/demo/seed-1",
    ]
    assert not any(version["git"] for version in versions)
    assert "no_scm = True" in (tmp_path / ".dvc" / "config").read_text()
    stored = {
        path.parent.name + path.name
        for path in (tmp_path / ".synthdata" / "dvc-remote" / "files" / "md5").rglob("*")
        if path.is_file()
    }
    assert {version["md5"] for version in versions} <= stored


def test_repository_of_the_user_keeps_its_root_and_default_remote(
    repository: Path, tmp_path: Path, written: Write
) -> None:
    add = ["remote", "add", "--default", "mine", str(tmp_path / "mine")]
    run_dvc([["init"], add], repository)
    workspace = repository / "experiments"
    out_dir = written(workspace, arms=("real",))

    (version,) = publish_versions([out_dir], workspace=workspace, remote="mine")

    assert version["remote"] == "mine"
    assert (tmp_path / "mine" / "files").is_dir()
    assert not (workspace / ".dvc").exists()
    assert "experiments/data/versions/demo/seed-0.dvc" in _staged(repository)
    config = (repository / ".dvc" / "config").read_text()
    assert "remote = mine" in config
    assert "synthdata" not in config


def test_subfolder_of_a_bigger_git_repository_gets_its_own(
    repository: Path, written: Write
) -> None:
    workspace = repository / "inner"
    (version,) = publish_versions([written(workspace, arms=("real",))], workspace=workspace)
    assert version["git"] is True
    assert _staged(repository) == {f"inner/{name}" for name in SMALL_FILES} | {".gitignore"}
    assert dvc_root(workspace) == workspace
    assert not (repository / ".dvc").exists()


def test_folder_that_git_ignores_is_used_without_git(repository: Path) -> None:
    ignored = repository / "runs" / "inner"
    ignored.mkdir(parents=True)
    assert find_repository(ignored) == (ignored, False, [["init", "--no-scm"]])
    assert find_repository(repository) == (repository, True, [["init"]])


def test_repository_above_an_ignored_folder_is_not_taken(repository: Path) -> None:
    (repository / ".dvc").mkdir()
    (repository / "runs" / "inner").mkdir(parents=True)
    (repository / "src").mkdir()
    assert dvc_root(repository / "src") == repository
    assert dvc_root(repository / "runs" / "inner") is None


def test_rule_that_ignores_the_small_file_is_named(repository: Path, written: Write) -> None:
    (repository / ".gitignore").write_text("/runs/\n/data/\n")
    out_dir = written(repository, arms=("real",))
    message = r"seed-0\.dvc belongs to Git, but the rule \.gitignore:2:/data/ ignores it"
    with pytest.raises(VersioningError, match=message):
        publish_versions([out_dir], workspace=repository)
    assert not (repository / "data").exists()


def test_refusal_of_dvc_carries_its_message(repository: Path, written: Write) -> None:
    out_dir = written(repository, arms=("real",))
    tracked = repository / "data" / "versions" / "demo" / "seed-0"
    shutil.copytree(out_dir, tracked)
    run_git(["add", "data"], repository)
    with pytest.raises(VersioningError, match="tracked by SCM") as caught:
        publish_versions([out_dir], workspace=repository)
    assert "dvc add data/versions/demo/seed-0 && dvc push" in str(caught.value)
    assert "version.dvc=false" in str(caught.value)


_STAGE = """
import json, sys
from pathlib import Path
from synthdata.versioning.publish import find_published, publish_versions
found = publish_versions([Path(sys.argv[1])], workspace=Path("."))
Path("found.json").write_text(json.dumps(found))
"""


def test_nothing_is_added_under_dvc_repro(tmp_path: Path, written: Write) -> None:
    out_dir = written(tmp_path, arms=("real",))
    (tmp_path / "stage.py").write_text(_STAGE)
    stage = f"{sys.executable} stage.py {out_dir.relative_to(tmp_path)}"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{version: {{cmd: {stage}, outs: [found.json]}}}}")
    run_dvc([["init", "--no-scm"], ["repro"]], tmp_path)
    assert (tmp_path / "found.json").read_text() == "[]"
    assert not (tmp_path / "data").exists()
