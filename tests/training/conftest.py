import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthdata.samples import DetectionDataset
from training.tiny import fit_once

_blocked = {"on": False}


def _refuse_sockets(event: str, _: tuple[Any, ...]) -> None:
    if _blocked["on"] and event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError(f"{event} in a test that must not need a network")


sys.addaudithook(_refuse_sockets)


@pytest.fixture
def no_sockets() -> Iterator[None]:
    _blocked["on"] = True
    yield
    _blocked["on"] = False


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DetectionDataset]:
    return fit_once(tmp_path_factory)
