"""What is hostile or nosy in a model or the environment, tried on the real worker process."""

import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from builders import write_dataset
from synthdata.config.detector import UltralyticsConfig
from synthdata.config.load import load_config
from synthdata.detectors.jobs import train_and_predict
from synthdata.errors import ConfigError, TrainingError
from synthdata.files import read_json, sha256_file, write_json


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What hostile code makes if it runs."""
    return tmp_path / "ran"


@pytest.fixture
def evil(tmp_path: Path, marker: Path) -> Path:
    """Weights that run code."""
    path = tmp_path / "evil.pt"
    torch.save({"model": Touch(marker)}, path)
    torch.load(path, weights_only=False)
    assert marker.exists()  # they really do
    marker.unlink()
    return path


class NotingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and notes every request."""

    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        super().do_GET()

    def do_POST(self) -> None:
        self.requests.append(self.path)
        self.send_error(500)

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield an address on this machine that serves `folder`, and the requests that it gets."""
    handler = type("Handler", (NotingHandler,), {"requests": []})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def train(config: UltralyticsConfig, data_dir: Path, job_dir: Path, *, num_targets: int) -> None:
    """Make a single step, and predict the images of a second folder."""
    train_and_predict(
        config,
        train=write_dataset(data_dir / "train", num=2),
        targets=write_dataset(data_dir / "val", num=num_targets, seed=1),
        steps=1, batch_size=2, seed=0, threads=1, out_dir=job_dir,
    )  # fmt: skip


@pytest.fixture(scope="module")
def watched(
    config: UltralyticsConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """A finished training in an environment that has it uploaded, and what the receiver got."""
    root = tmp_path_factory.mktemp("watched")
    with serving(root) as (address, requests), pytest.MonkeyPatch.context() as environment:
        environment.setenv("ULTRALYTICS_API_KEY", f"ul_{'0' * 40}")
        environment.setenv("ULTRALYTICS_PLATFORM_URL", address)
        environment.delenv("PYTEST_CURRENT_TEST")  # in tests ultralytics sends nothing
        train(config, root, root / "job", num_targets=1)
    return root / "job", requests


def test_nothing_is_uploaded_with_an_api_key_in_the_environment(
    watched: tuple[Path, list[str]],
) -> None:
    job_dir, requests = watched
    assert read_json(job_dir / "training.json")["steps"] == 1
    assert requests == []


def test_a_replaced_weights_file_runs_no_code(
    watched: tuple[Path, list[str]],
    config: UltralyticsConfig,
    evil: Path,
    marker: Path,
    tmp_path: Path,
) -> None:
    job_dir = Path(shutil.copytree(watched[0], tmp_path / "job"))
    shutil.copy(evil, job_dir / "weights.pt")
    # Who replaced it gave the record its digest too: else the training would be made anew.
    record = read_json(job_dir / "training.json")
    record["weights_sha256"] = sha256_file(job_dir / "weights.pt")
    write_json(job_dir / "training.json", record)
    with pytest.raises(TrainingError, match="outside the supported Ultralytics checkpoint format"):
        train(config, tmp_path, job_dir, num_targets=3)
    assert (job_dir / "training.json").is_file()  # it was not trained anew
    assert not marker.exists()


def test_an_architecture_with_code_in_it_runs_none(
    config: UltralyticsConfig, marker: Path, tmp_path: Path
) -> None:
    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    plain = Path(spec.origin).parent / "cfg" / "models" / "v8" / "yolov8.yaml"
    code = f"[open({str(marker)!r}, 'w'), torch.nn.SiLU()][1]"
    architecture = yaml.safe_load(plain.read_text()) | {"activation": code}
    (tmp_path / "yolov8n.yaml").write_text(yaml.safe_dump(architecture))
    hostile = config.model_copy(update={"model": str(tmp_path / "yolov8n.yaml")})
    with pytest.raises(TrainingError, match="unsupported activation"):
        train(hostile, tmp_path, tmp_path / "job", num_targets=1)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{evil}", "a pickle, which can run any code .* trust_weights: true"),
        ("{address}/evil.pt", "an address, .* set allow_download: true"),
        ("http:/remote/evil.pt", "an address"),
        ("ul://user/project/model.pt", "an address"),
        ("yolo11n", r"an architecture \(.yaml\) or weights \(.pt\), got 'yolo11n'"),
        ("yolo11n.onnx", r"an architecture \(.yaml\) or weights \(.pt\)"),
    ],
)
def test_a_config_names_no_code_and_no_download(
    model: str, message: str, evil: Path, marker: Path, tmp_path: Path
) -> None:
    with serving(tmp_path) as (address, requests):
        name = model.format(evil=evil, address=address)
        with pytest.raises(ConfigError, match=message):
            load_config("smoke.yaml", [f"train.detector.model={name}"])
    assert requests == []
    assert not marker.exists()


def test_weights_that_are_not_there_are_not_looked_for(tmp_path: Path) -> None:
    trusting = UltralyticsConfig(kind="ultralytics", model="yolo11n.pt", trust_weights=True)
    with pytest.raises(ConfigError, match=r"yolo11n\.pt isn't there .* allow_download: true"):
        train(trusting, tmp_path, tmp_path / "job", num_targets=1)
    assert not (tmp_path / "job").exists()


def test_weights_are_trained_on_and_downloaded_where_the_config_says_so(
    watched: tuple[Path, list[str]], config: UltralyticsConfig, tmp_path: Path
) -> None:
    with serving(watched[0]) as (address, requests):
        permissions = {"trust_weights": True, "allow_download": True}
        allowed = config.model_copy(update={"model": f"{address}/weights.pt", **permissions})
        train(allowed, tmp_path, tmp_path / "job", num_targets=1)
    assert requests == ["/weights.pt"]
    log = (tmp_path / "job" / "log.txt").read_text()
    assert re.search(r"Transferred (\d+)/\1 items", log)
