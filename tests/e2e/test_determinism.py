"""The same config and seed give the same bytes, whoever runs the stages."""

from pathlib import Path

import pytest

from commands import Command
from synthdata.files import sha256_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smoke")]


def test_a_second_machine_folder_gives_identical_images(
    smoke_workspace: Path, tmp_path: Path, command: Command
) -> None:
    for stage in ("prepare", "fit", "layout", "generate"):
        command("synthdata", stage, "smoke.yaml", "--seed", "0", cwd=tmp_path)
    images = Path("runs") / "smoke" / "seed-0" / "generate" / "images"
    first = {p.name: sha256_file(p) for p in (smoke_workspace / images).iterdir()}
    second = {p.name: sha256_file(p) for p in (tmp_path / images).iterdir()}
    assert first == second
