"""A real Prefect server and process worker run the smoke config's deployment."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Command
from synthdata.files import read_json, sha256_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smoke")]

# One repetition of two arms; the whole loop is another test's.
OVERRIDES = [
    "seeds=[0]", "score=null", "arms.copy_paste=null", "arms.synthetic_filtered=null",
    "arms.synthetic_random_drop=null", "arms.oracle=null", "contrasts=[[synthetic,real]]",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """Start a server on a free port; yield the environment that its clients need."""
    port = free_port()
    env = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false",
    }
    home.mkdir()
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
            env=os.environ | env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 120
            while not healthy(env["PREFECT_API_URL"]):
                assert server.poll() is None, (home / "server.log").read_text()
                assert time.monotonic() < deadline, "the server didn't get healthy in 120 s"
                time.sleep(0.5)
            yield env
        finally:
            server.terminate()
            server.wait(30)


def healthy(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def post(api: str, path: str, body: dict[str, object]) -> list[dict[str, object]]:
    request = urllib.request.Request(
        f"{api}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return list(json.load(answer))


def artifact(api: str, key: str) -> list[dict[str, object]]:
    found = post(api, "/artifacts/filter", {"artifacts": {"key": {"any_": [key]}}})
    return list(json.loads(str(found[0]["data"])))


def test_a_deployed_run_gives_the_same_images_and_verdict(
    clone: Path, smoke_workspace: Path, tmp_path: Path, command: Command
) -> None:
    with prefect_server(tmp_path / "prefect") as env:
        api = env["PREFECT_API_URL"]
        command(
            "prefect", "work-pool", "create", "synthdata", "--type", "process", cwd=clone, env=env
        )
        command("prefect", "--no-prompt", "deploy", "--all", cwd=clone, env=env)
        command(
            "prefect", "deployment", "run", "synthdata-capstone/on-demand",
            "-p", "config=configs/smoke.yaml", "-p", f"overrides={json.dumps(OVERRIDES)}",
            cwd=clone, env=env,
        )  # fmt: skip
        refused = command(
            "prefect", "deployment", "run", "synthdata-capstone/on-demand", "-p", "epochs=3",
            cwd=clone, env=env, status=1,
        )  # fmt: skip
        assert "epochs" in refused.stdout + refused.stderr
        # Anywhere but in the clone: the deployment knows its folder.
        command(
            "prefect", "worker", "start", "--pool", "synthdata", "--run-once",
            cwd=tmp_path, env=env,
        )  # fmt: skip
        done = post(
            api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
        )
        assert [run["parameters"]["config"] for run in done] == ["configs/smoke.yaml"]  # type: ignore[index]
        scheduled = post(
            api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        )
        assert scheduled, "the nightly schedule has created no runs"
        arms, verdict = (artifact(api, key) for key in ("arms-smoke", "verdict-smoke"))
        assert {row["arm"] for row in arms} == {"real", "synthetic"}
        assert verdict[0]["arm"] == "synthetic"

    run = Path("runs") / "smoke"
    images = run / "seed-0" / "generate" / "images"
    # The same config and seed in two folders, by two ways: the same bytes.
    assert {p.name: sha256_file(p) for p in (clone / images).iterdir()} == {
        p.name: sha256_file(p) for p in (smoke_workspace / images).glob("synthetic-*")
    }
    by_flow, by_command = (
        read_json(workspace / run / "seed-0" / "train" / "metrics.json")["arms"]
        for workspace in (clone, smoke_workspace)
    )
    assert {arm: values["map50_95"] for arm, values in by_flow.items()} == {
        arm: by_command[arm]["map50_95"] for arm in ("real", "synthetic")
    }
