from pathlib import Path

import pytest

from synthdata.formats.paths import PathEscapeError, files_below, path_inside, sample_ids


@pytest.mark.parametrize(
    "named",
    ["../a.png", "x/../../a.png", "..\\a.png", "/etc/passwd", "C:\\a.png", "\\\\host\\a", "a\0b"],
)
def test_paths_that_leave_the_folder(tmp_path: Path, named: str) -> None:
    with pytest.raises(PathEscapeError, match="expected a path inside"):
        path_inside(tmp_path, Path("images"), named)


def test_links_may_stay_but_not_leave(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "a.png").touch()
    (tmp_path / "outside.png").touch()
    (root / "in.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "folder").symlink_to(tmp_path)
    assert path_inside(root, Path(), "in.png") == Path("in.png")
    for named in ("out.png", "folder/outside.png"):
        with pytest.raises(PathEscapeError, match="is a link that leaves it"):
            path_inside(root, Path(), named)


def test_paths_that_can_not_be_followed(tmp_path: Path) -> None:
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    for named in ("circle.png", "a" * 300 + ".png"):
        with pytest.raises(PathEscapeError, match="can't be followed"):
            path_inside(tmp_path, Path(), named)


def test_files_below(tmp_path: Path) -> None:
    for name in ("b.PNG", "deep/a.png", "._b.png", ".hidden/c.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_below(tmp_path, Path(), frozenset({".png"}))
    assert found == [Path("b.PNG"), Path("deep/a.png")]


def test_ids_are_stems_where_they_can_be() -> None:
    ids = sample_ids([Path("x/größe 1.jpg"), Path("a/1.png"), Path("b/1.png"), Path("c/A?b.png")])
    assert ids[0] == "größe_1"
    assert ids[3] == "A_b"
    assert len(set(ids)) == 4
    assert all(name.startswith("1-") for name in ids[1:3])
    assert sample_ids([Path("b/1.png"), Path("a/1.png")]) == [ids[2], ids[1]]


@pytest.mark.parametrize("code_point", [0xD800, 0xDCFF])
def test_names_that_are_no_text(tmp_path: Path, code_point: int) -> None:
    with pytest.raises(PathEscapeError, match=r"a path in UTF-8.*\\ud"):
        path_inside(tmp_path, Path(), f"{chr(code_point)}.png")


def test_long_stems_are_cut_and_stay_apart() -> None:
    ids = sample_ids([Path("x" * 250 + "1.png"), Path("x" * 250 + "2.png"), Path("ü" * 120)])
    assert len(set(ids)) == 3
    assert all(len(name.encode()) < 215 for name in ids)
    assert sample_ids([Path("x" * 200)]) == ["x" * 200]
