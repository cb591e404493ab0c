"""What a user edits in `data/versions` is theirs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from synthdata.errors import VersioningError
from synthdata.files import sha256_file
from synthdata.versioning.copies import copy_version


class Workspace:
    """A stage's folder and its copy."""

    def __init__(self, root: Path) -> None:
        self.stage = root / "runs" / "demo" / "seed-0" / "version"
        self.copy = root / "data" / "versions" / "demo" / "seed-0"
        self.marker = root / ".synthdata" / "copied.json"
        self.label = self.copy / "arms" / "real" / "labels" / "a.txt"

    def make(self, label: str, *, key: str) -> None:
        """Write the stage's folder, whole, as the stage does."""
        shutil.rmtree(self.stage, ignore_errors=True)
        files = {"arms/real/labels/a.txt": label, "arms/real/images/a.png": "pixels",
                 "eval/val/images/b.png": "more pixels", "metrics.json": "{}",
                 "config.yaml": "stage: version\n", ".key": key,
                 "arms/real/labels.cache": "left by a training"}  # fmt: skip
        for name, text in files.items():
            (self.stage / name).parent.mkdir(parents=True, exist_ok=True)
            (self.stage / name).write_text(text)

    def publish(self) -> None:
        copy_version(self.stage, self.copy, parts=("arms", "eval"), marker=self.marker)

    def tree(self) -> dict[str, str]:
        return {
            path.relative_to(self.copy).as_posix(): path.read_text()
            for path in self.copy.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A version that was copied once."""
    made = Workspace(tmp_path)
    made.make("0 0.5", key="k1")
    made.publish()
    return made


def test_the_data_sets_are_copied(workspace: Workspace) -> None:
    assert workspace.tree() == {
        "arms/real/labels/a.txt": "0 0.5",
        "arms/real/images/a.png": "pixels",
        "eval/val/images/b.png": "more pixels",
    }


def test_an_unedited_version_is_replaced(workspace: Workspace) -> None:
    workspace.make("1 0.5", key="k2")
    workspace.publish()
    assert workspace.label.read_text() == "1 0.5"
    workspace.make("0 0.5", key="k1")
    workspace.publish()
    assert workspace.label.read_text() == "0 0.5"


@pytest.mark.parametrize("key", ["k1", "k2"])
def test_edits_stay_while_the_content_is_the_same(workspace: Workspace, key: str) -> None:
    """As where only a setting such as `version.commit` is another."""
    workspace.label.write_text("2 0.5")
    (workspace.copy / "arms" / "mine.txt").write_text("a note")
    workspace.make("0 0.5", key=key)
    before = workspace.tree()
    workspace.publish()
    workspace.publish()
    assert workspace.tree() == before


def edit(workspace: Workspace) -> None:
    workspace.label.write_text("2 0.5")


def add(workspace: Workspace) -> None:
    (workspace.copy / "arms" / "mine.txt").write_text("a note")


def remove(workspace: Workspace) -> None:
    (workspace.copy / "eval" / "val" / "images" / "b.png").unlink()


@pytest.mark.parametrize(
    ("change", "name"),
    [(edit, "arms/real/labels/a.txt"), (add, "arms/mine.txt"), (remove, "eval/val/images/b.png")],
)
def test_an_edited_version_is_never_overwritten(
    workspace: Workspace, change: Callable[[Workspace], None], name: str
) -> None:
    change(workspace)
    before = workspace.tree()
    workspace.make("1 0.5", key="k2")

    for _ in range(2):
        with pytest.raises(VersioningError, match=f"was edited.*Its own: {name}\\. ") as error:
            workspace.publish()
        assert "give the run another name" in str(error.value)
        assert "move the folder away" in str(error.value)
        assert workspace.tree() == before

    workspace.copy.rename(workspace.copy.with_name("kept"))
    workspace.publish()
    assert workspace.label.read_text() == "1 0.5"


def test_a_copy_of_unknown_origin_is_kept_unless_it_is_the_new_one(workspace: Workspace) -> None:
    workspace.marker.write_text("a key, as earlier versions wrote it")
    workspace.make("1 0.5", key="k2")
    with pytest.raises(VersioningError, match=r"isn't known to be unedited.*labels/a\.txt"):
        workspace.publish()
    assert workspace.label.read_text() == "0 0.5"
    workspace.label.write_text("1 0.5")
    workspace.publish()
    workspace.make("3 0.5", key="k3")
    workspace.publish()
    assert workspace.label.read_text() == "3 0.5"


def test_a_copy_killed_before_its_record_counts_as_copied(workspace: Workspace) -> None:
    record = workspace.marker.read_bytes()
    workspace.make("1 0.5", key="k2")
    workspace.publish()
    workspace.marker.write_bytes(record)  # as if the process had been killed before
    workspace.publish()
    workspace.make("4 0.5", key="k3")
    workspace.publish()
    assert workspace.label.read_text() == "4 0.5"


def test_publishing_again_reads_no_image(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr("synthdata.versioning.copies.sha256_file", counted)
    workspace.publish()
    assert read == []
