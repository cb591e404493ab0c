import logging
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from broken_folders import snapshot, write_blobs

from synthdata.config.sources import DigitsSource
from synthdata.datasets.archives import fetch_archive
from synthdata.datasets.blood_smears import BCCD, TXL_PBC
from synthdata.datasets.check import check_dataset
from synthdata.datasets.download import download
from synthdata.datasets.fetch import DATASETS, fetch, fetch_digits
from synthdata.errors import DatasetError


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, with ranges, as most servers do; /plain/ has none."""

    requests: list[str | None]

    def do_GET(self) -> None:
        self.requests.append(self.headers.get("Range"))
        path = Path(self.directory) / Path(self.path).name
        if not path.is_file():
            return self.send_error(404)
        content, wanted = path.read_bytes(), self.headers.get("Range")
        if wanted is None or self.path.startswith("/plain/"):
            self.send_response(200)
        else:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            content = content[start:]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if "cut" in self.path else content)
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[str | None]]]:
    """A folder, the address where it is served, and the ranges that were asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked: list[str | None] = []
    handler = partial(type("Recording", (Handler,), {"requests": asked}), directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_goes_on_where_it_broke_off(
    served: tuple[Path, str, list[str | None]], tmp_path: Path
) -> None:
    folder, url, asked = served
    content = bytes(range(256)) * 2000
    (folder / "cut-file").write_bytes(content)
    target = tmp_path / "got" / "file"
    with pytest.raises(DatasetError, match="can't be downloaded: .*call again to go on, or set"):
        download(f"{url}/cut-file", target)
    assert not target.exists()
    have = target.with_name("file.part").stat().st_size
    assert 0 < have <= len(content) // 2
    (folder / "file").write_bytes(content)
    download(f"{url}/file", target)
    assert target.read_bytes() == content
    assert asked == [None, f"bytes={have}-"]
    download(f"{url}/file", target)
    assert len(asked) == 2
    assert [path.name for path in target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["plain/", ""])
@pytest.mark.parametrize("have", [100, 5000])
def test_a_useless_part_is_replaced(
    served: tuple[Path, str, list[str | None]], tmp_path: Path, place: str, have: int
) -> None:
    """The server can't resume, or the part is as long as the file or longer."""
    if not place and have == 100:
        have = 4000
    folder, url, _ = served
    (folder / "file").write_bytes(b"new" * 1000)
    (tmp_path / "file.part").write_bytes(b"o" * have)
    download(f"{url}/{place}file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new" * 1000


def test_a_server_that_is_not_there_or_has_nothing(
    served: tuple[Path, str, list[str | None]], tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="404"):
        download(f"{served[1]}/nothing", tmp_path / "file")
    with pytest.raises(DatasetError, match="set SYNTHDATA_MIRROR to a folder"):
        download("http://127.0.0.1:1/file", tmp_path / "file")
    assert not list(tmp_path.glob("file*"))


def pack(source: Path, archive: Path, *, extra: dict[str, bytes] | None = None) -> None:
    """Pack a folder as GitHub packs a repository's commit."""
    work = archive.parent / "work"
    for name, content in (extra or {}).items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(content)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in ("Annotations", "ImageSets", "JPEGImages"):
            tar.add(source / name, f"BCCD_Dataset-d272fb1/BCCD/{name}")
        tar.add(source / "LICENSE", "BCCD_Dataset-d272fb1/LICENSE")
        for name in extra or {}:
            tar.add(work / name, f"BCCD_Dataset-d272fb1/{name}")


def test_bccd_from_the_web(
    served: tuple[Path, str, list[str | None]],
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SYNTHDATA_MIRROR", raising=False)
    folder, url, asked = served
    escape = "BCCD/JPEGImages/../../../../escaped.txt"
    pack(mirror / "bccd", folder / "a.tar.gz", extra={"README.md": b"x", "BCCD/other/x": b"y"})
    with tarfile.open(folder / "b.tar.gz", "w:gz") as tar:
        tar.add(mirror / "bccd" / "LICENSE", f"repository/{escape}")
    raw_dir = tmp_path / "raw"
    with pytest.raises(DatasetError, match=f"expected BCCD .* {BCCD.sha256}.*b.tar.gz holds"):
        fetch_archive(BCCD, raw_dir, url=f"{url}/b.tar.gz")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert [path.name for path in raw_dir.iterdir()] == [".bccd.lock"]
    found = fetch_archive(BCCD, raw_dir, url=f"{url}/a.tar.gz")
    assert found == raw_dir / "bccd"
    assert sorted(p.name for p in found.iterdir()) == [
        "Annotations", "ImageSets", "JPEGImages", "LICENSE",
    ]  # fmt: skip
    assert sorted(path.name for path in raw_dir.iterdir()) == [".bccd.lock", "bccd"]
    assert fetch_archive(BCCD, raw_dir, url=f"{url}/a.tar.gz") == found
    assert len(asked) == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b\x08\x00broken archive"])
def test_what_is_no_archive(
    served: tuple[Path, str, list[str | None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    monkeypatch.delenv("SYNTHDATA_MIRROR", raising=False)
    (served[0] / "a.tar.gz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"expected a \.tar\.gz of BCCD"):
        fetch_archive(BCCD, tmp_path / "raw", url=f"{served[1]}/a.tar.gz")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".bccd.lock"]


def test_the_mirror_comes_first_and_a_changed_copy_is_refused(
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SYNTHDATA_MIRROR", str(mirror))
    with caplog.at_level(logging.INFO):
        folder = fetch("bccd", tmp_path)
    assert "copied from the mirror" in caplog.text
    assert BCCD.tree_sha256(folder) == BCCD.sha256
    (folder / "JPEGImages" / ".DS_Store").touch()
    assert fetch("bccd", tmp_path) == folder
    label = folder / "Annotations" / "BloodImage_00338.xml"
    label.write_bytes(label.read_bytes() + b"\n")
    with pytest.raises(DatasetError, match=r"expected BCCD at d272fb1 .* remove .*bccd and fetch"):
        fetch("bccd", tmp_path)
    wrong = tmp_path / "mirror"
    shutil.copytree(folder, wrong / "bccd")
    monkeypatch.setenv("SYNTHDATA_MIRROR", str(wrong))
    with pytest.raises(DatasetError, match="mirror/bccd holds other files"):
        fetch("bccd", tmp_path / "second")
    assert not (tmp_path / "second" / "bccd").exists()


def pack_txl_pbc(source: Path, archive: Path, *, without: str = "") -> None:
    """Pack both laboratories' images as they lie in the repository, among others."""
    work = archive.parent / "work"
    for split in ("train", "val", "test"):
        write_blobs(work / f"TXL_PBC/images/{split}/smear.jpg", seed=1, size=(640, 480))
        (work / f"TXL_PBC/labels/{split}").mkdir(parents=True)
        (work / f"TXL_PBC/labels/{split}/smear.txt").write_text("0 0.5 0.5 0.1 0.1")
    (work / "TXL_PBC/labels/classes.txt").write_text("WBC")
    (work / "README.md").write_text("read me")
    for laboratory in ("raabin", "pbc"):
        for path in (source / laboratory).glob("*/*/*"):
            if path.stem != without or path.suffix == ".jpg":
                name = path.relative_to(source / laboratory)
                shutil.copyfile(path, work / "TXL_PBC" / name)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(work, "TXL-PBC_Dataset-bcafb7a")


def test_smears_of_other_laboratories_from_the_web(
    served: tuple[Path, str, list[str | None]],
    tmp_path: Path,
    txl_pbc_mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SYNTHDATA_MIRROR", raising=False)
    folder, url, _ = served
    pack_txl_pbc(txl_pbc_mirror, folder / "a.tar.gz")
    found = fetch_archive(TXL_PBC, tmp_path / "raw", url=f"{url}/a.tar.gz")
    assert sorted(path.name for path in found.iterdir()) == ["pbc", "raabin"]
    for name in ("pbc", "raabin"):
        assert snapshot(found / name).keys() == snapshot(txl_pbc_mirror / name).keys()
        assert check_dataset(found / name, "yolo") == []


def test_smears_that_lack_a_label_are_refused(
    served: tuple[Path, str, list[str | None]],
    tmp_path: Path,
    txl_pbc_mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SYNTHDATA_MIRROR", raising=False)
    folder, url, _ = served
    gone = next((txl_pbc_mirror / "pbc" / "labels" / "val").iterdir()).stem
    pack_txl_pbc(txl_pbc_mirror, folder / "a.tar.gz", without=gone)
    with pytest.raises(DatasetError, match=r"expected TXL-PBC at bcafb7a .*a\.tar\.gz holds other"):
        fetch_archive(TXL_PBC, tmp_path / "raw", url=f"{url}/a.tar.gz")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".txl-pbc.lock"]


def test_smears_of_other_laboratories_from_the_mirror(
    tmp_path: Path, txl_pbc_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHDATA_MIRROR", str(txl_pbc_mirror.parent))
    folder = fetch("txl-pbc", tmp_path)
    assert TXL_PBC.tree_sha256(folder) == TXL_PBC.sha256 == TXL_PBC.fingerprint(tmp_path)
    assert TXL_PBC.fingerprint(tmp_path / "none") == TXL_PBC.sha256
    data = folder / "raabin" / "data.yaml"
    data.write_text(data.read_text().replace("- WBC\n- RBC", "- RBC\n- WBC"))
    with pytest.raises(DatasetError, match=r"remove .*txl-pbc and fetch it again"):
        fetch("txl-pbc", tmp_path)


def test_digits_are_made_once_and_named_by_their_settings(tmp_path: Path) -> None:
    source = DigitsSource(kind="digits", num_train=2, num_val=1, num_test=1)
    folder = fetch_digits(source, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert fetch_digits(source, tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert fetch_digits(source.model_copy(update={"num_val": 2}), tmp_path) != folder


def test_unknown_names(tmp_path: Path) -> None:
    assert set(DATASETS) == {"digits", "bccd", "txl-pbc"}
    with pytest.raises(DatasetError, match="expected one of digits, bccd, txl-pbc, got 'coco'"):
        fetch("coco", tmp_path)
