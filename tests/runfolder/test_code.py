"""Which edits of the source change which stage's key."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import synthdata
from synthdata.config import STAGES, StageName
from synthdata.runfolder.code import DecidingCode, deciding_code, installed_code

ROOT = Path(synthdata.__file__).parent


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("source") / "synthdata"
    return Path(shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns("__pycache__")))


@contextmanager
def edited(package: Path, module: str, added: str) -> Iterator[None]:
    path = package / module
    text = path.read_bytes()
    path.write_bytes(text + added.encode())
    yield
    path.write_bytes(text)


def codes(package: Path) -> dict[StageName, DecidingCode]:
    return {stage: deciding_code(stage, package) for stage in STAGES}


def changed(before: dict[StageName, DecidingCode], package: Path) -> set[StageName]:
    after = codes(package)
    return {stage for stage in STAGES if after[stage].sha256 != before[stage].sha256}


def test_a_copy_of_the_package_has_the_installed_ones_code(package: Path) -> None:
    assert codes(package) == {stage: installed_code(stage) for stage in STAGES}


def test_docstrings_comments_and_blank_lines_change_no_key(package: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(package, tmp_path / "synthdata"))
    for path in copy.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(
            "# a comment\n\n" + text.replace('    """Return ', '    """Hand back\n\n    '), "utf-8"
        )
    assert changed(codes(package), copy) == set()


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        # In the room, or in what the room imports.
        ("layout/sampled.py", {"layout"}),
        ("layout/geometry.py", {"layout", "generate", "score"}),
        ("generators/paste.py", {"generate", "score"}),
        # Imported inside a function, and run as a process of its own.
        ("training/finetune.py", {"fit"}),
        ("training/finetune_worker.py", {"fit"}),
        ("detectors/ultralytics_worker.py", {"score", "filter", "train", "report"}),
        ("report/wording.py", {"report"}),
        # Which all stages import.
        ("samples.py", set(STAGES)),
        # Orchestration, command line, config models.
        ("cli/app.py", set()),
        ("stages.py", set()),
        ("plan.py", set()),
        ("errors.py", set()),
        ("config/layout.py", set()),
        ("runfolder/run.py", set()),
    ],
)
def test_an_edit_changes_the_keys_of_the_stages_that_run_it(
    package: Path, module: str, stages: set[StageName]
) -> None:
    before = codes(package)
    with edited(package, module, "\n_ADDED = 1\n"):
        assert changed(before, package) == stages


def test_a_template_of_the_report_is_code_of_the_report(package: Path) -> None:
    before = codes(package)
    with edited(package, "report/templates/report.css", "\n"):
        assert changed(before, package) == {"report"}


def test_libraries_are_those_that_a_stage_imports() -> None:
    names = {
        stage: {library.split()[0] for library in installed_code(stage).libraries}
        for stage in STAGES
    }
    assert {"torch", "diffusers", "transformers"} <= names["fit"] & names["generate"]
    assert "ultralytics-opencv-headless" in names["train"] & names["score"] & names["filter"]
    assert names["layout"] == {"numpy", "pandas", "pillow", "scipy"}
    assert not set().union(*names.values()) & {"tqdm", "rich", "typer", "pydantic", "synthdata"}
    assert not [lib for stage in STAGES for lib in installed_code(stage).libraries if "none" in lib]


def test_a_package_without_a_stages_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no module synthdata\.layout\.run"):
        deciding_code("layout", tmp_path)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "from synthdata.runfolder.code import installed_code\n"
        "installed_code('generate')\n"
        "print([m for m in ('torch', 'diffusers', 'ultralytics', 'synthdata.generators')"
        " if m in sys.modules])\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert shown == ["[]"]


def test_a_stages_code_is_read_once() -> None:
    installed_code("train")
    start = time.perf_counter()
    installed_code("train")
    assert time.perf_counter() - start < 0.01
