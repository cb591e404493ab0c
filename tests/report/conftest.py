"""One finished run and its report, for the tests that only look."""

from pathlib import Path
from typing import Any

import pytest
from finished_run import HOSTILE_CLASSES, FinishedRun, finish_run

from synthdata.files import write_json
from synthdata.report import write_report


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finish_run(tmp_path_factory.mktemp("finished"), class_names=HOSTILE_CLASSES)


@pytest.fixture(scope="session")
def metrics(finished: FinishedRun) -> dict[str, Any]:
    """Written as the stage runner writes them, so that they must be JSON."""
    out_dir = finished.run_dir / "report"
    found = write_report(finished.section, inputs=finished.inputs, out_dir=out_dir)
    write_json(out_dir / "metrics.json", found)
    return found


@pytest.fixture(scope="session")
def report_dir(finished: FinishedRun, metrics: dict[str, Any]) -> Path:
    assert metrics["arms"]
    return finished.run_dir / "report"
