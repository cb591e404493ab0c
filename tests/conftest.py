"""Fixtures shared by the whole suite."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import ROOT, Command

# Every test is offline; a library that would ask a hub fails at once and says so.
os.environ["HF_HUB_OFFLINE"] = "1"
# Without byte code each process would compile torch's and diffusers' sources again: 10 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Two workers on two cores: more threads would wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first: short ones fill up what one worker leaves idle at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


_blocked: dict[str, list[str] | None] = {"attempts": None}


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    attempts = _blocked["attempts"]
    if attempts is not None and event in ("socket.connect", "socket.getaddrinfo"):
        attempts.append(f"{event} {arguments[1:]}")
        raise OSError(f"{event} in a test that must not need a network")


sys.addaudithook(_refuse_sockets)


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse connections, and fail even where a library goes on without one."""
    # As for a user: else the hub's client would refuse before it came to a socket.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    attempts: list[str] = []
    _blocked["attempts"] = attempts
    yield
    _blocked["attempts"] = None
    assert attempts == []


@pytest.fixture(scope="session")
def command() -> Command:
    """Run a command; its output is in the assertion when the status isn't the expected one."""

    def run(
        *args: str, cwd: Path, status: int = 0, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            args, cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{args}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def bccd_mirror() -> Path:
    """The folder that contains `bccd/`, for tests on real photographs."""
    mirror = Path(os.environ.get("SYNTHDATA_MIRROR", ROOT.parent / "shared" / "data"))
    if not (mirror / "bccd").is_dir():
        pytest.skip("BCCD isn't there; set SYNTHDATA_MIRROR to the folder that contains bccd/")
    return mirror.resolve()


@pytest.fixture(scope="session")
def txl_pbc_mirror() -> Path:
    """The folder that contains `raabin/` and `pbc/`: blood smears of other laboratories."""
    mirror = Path(os.environ.get("SYNTHDATA_MIRROR", ROOT.parent / "shared" / "data"))
    if not (mirror / "txl-pbc").is_dir():
        pytest.skip("TXL-PBC isn't there; set SYNTHDATA_MIRROR to the folder with txl-pbc/")
    return (mirror / "txl-pbc").resolve()


@pytest.fixture
def clone(tmp_path: Path, command: Command) -> Path:
    """A clone of the project as it is in the working tree, in a Git repository of its own."""
    target = tmp_path / "clone"
    for name in command("git", "ls-files", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    command("git", "init", "-q", cwd=target)
    command("git", "add", "-A", cwd=target)
    command("git", *identity, "commit", "-q", "-m", "clone", cwd=target)
    return target


@pytest.fixture(scope="session")
def smoke_workspace(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """A folder, no Git repository, in which `synthdata run smoke.yaml` went through."""
    workspace = tmp_path_factory.mktemp("smoke")
    command("synthdata", "run", "smoke.yaml", cwd=workspace)
    return workspace
