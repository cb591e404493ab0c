import os
from pathlib import Path

import pytest

from synthdata.errors import DamagedFileError
from synthdata.files import (
    link_or_copy,
    read_json,
    replacing,
    replacing_dir,
    sha256_file,
    sha256_json,
    sync_files,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"), replacing(target) as temporary:
        temporary.write_text("new, half")
        raise RuntimeError("half-way")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError, match="half-way"), replacing_dir(target) as temporary:
        (temporary / "new").touch()
        raise RuntimeError("half-way")
    assert [p.name for p in tmp_path.rglob("*")] == ["set", "old"]
    with replacing_dir(target) as temporary:
        (temporary / "new").touch()
    assert [p.name for p in target.iterdir()] == ["new"]


def test_json_is_canonical_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.5, None]})
    assert read_json(tmp_path / "a.json") == {"a": [0.5, None], "b": 1}
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_link_or_copy_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"pixels")
    link_or_copy(source, tmp_path / "deep" / "b")
    link_or_copy(source, tmp_path / "deep" / "b")
    assert sha256_file(tmp_path / "deep" / "b") == sha256_file(source)


@pytest.mark.parametrize(
    "content", [b"", b'{"a": 1', b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"metrics\.json can't be read") as told:
        read_json(path)
    assert "run the stage again" in str(told.value)
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        read_json(tmp_path / "absent.json")


class SyncedFirst:
    """Notes the order in which the system syncs and renames, and lets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[str, str]] = []
        fsync, replace = os.fsync, Path.replace

        def noting_fsync(handle: int) -> None:
            self.done.append(("sync", Path(f"/proc/self/fd/{handle}").resolve().name))
            fsync(handle)

        def noting_replace(path: Path, target: Path) -> Path:
            self.done.append(("rename", path.name))
            return replace(path, target)

        monkeypatch.setattr("os.fsync", noting_fsync)
        monkeypatch.setattr(Path, "replace", noting_replace)


def test_a_file_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = SyncedFirst(monkeypatch)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert noted.done == [
        ("sync", temporary.name), ("rename", temporary.name), ("sync", tmp_path.name)
    ]  # fmt: skip


def test_a_folder_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = SyncedFirst(monkeypatch)
    with replacing_dir(tmp_path / "set") as temporary:
        (temporary / "images").mkdir()
        for name in ("a", "b"):
            (temporary / "images" / name).touch()
    synced = {name for what, name in noted.done[:4] if what == "sync"}
    assert synced == {"a", "b", "images", temporary.name}
    assert noted.done[4:] == [("rename", temporary.name), ("sync", tmp_path.name)]


def test_many_files_are_synced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = SyncedFirst(monkeypatch)
    for name in ("a", "b", "c"):
        with replacing(tmp_path / name, sync=False) as temporary:
            temporary.touch()
    assert {what for what, _ in noted.done} == {"rename"}
    sync_files(tmp_path / name for name in ("a", "b", "c"))
    assert sorted(name for what, name in noted.done if what == "sync") == [
        "a", "b", "c", tmp_path.name
    ]  # fmt: skip
