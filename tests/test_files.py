from pathlib import Path

import pytest

from synthdata.files import (
    link_or_copy,
    read_json,
    replacing,
    replacing_dir,
    sha256_file,
    sha256_json,
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
