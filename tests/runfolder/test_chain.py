"""Stages refuse inputs that no longer follow from theirs."""

import shutil
from pathlib import Path

import pytest

from runfolder.stages import jitter, run_stage
from synthdata.config.layout import LayoutConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.report import ReportConfig
from synthdata.errors import DamagedFileError, RunError
from synthdata.plan import Step
from synthdata.stages import run_step


def prepare(seed: int = 0) -> PrepareConfig:
    return PrepareConfig.model_validate({"source": {"kind": "digits"}, "seed": seed})


@pytest.fixture
def repetition(tmp_path: Path) -> Path:
    """Prepare, layout, generate and version, each made from the one before."""
    folder = tmp_path / "runs" / "demo" / "seed-0"
    run_stage(folder / "prepare", stage="prepare", section=prepare())
    for stage, before in (("layout", "prepare"), ("generate", "layout"), ("version", "generate")):
        run_stage(folder / stage, stage=stage, inputs={before: folder / before})  # type: ignore[arg-type]
    return folder


def train(repetition: Path) -> None:
    inputs = {"version": repetition / "version"}
    run_stage(repetition / "train", stage="train", inputs=inputs)


def report(repetition: Path) -> None:
    inputs = {f"seed-0/{path.name}": path for path in repetition.glob("[!.]*")}
    run_stage(repetition.parent / "report", stage="report", section=ReportConfig(), inputs=inputs)


def test_what_follows_is_accepted(repetition: Path) -> None:
    train(repetition)
    report(repetition)


def test_a_stage_and_the_report_refuse_what_no_longer_follows(repetition: Path) -> None:
    train(repetition)
    # Another guidance scale, say: `generate` alone is made again.
    run_stage(
        repetition / "generate", stage="generate", section=jitter(0.5),
        inputs={"layout": repetition / "layout"},
    )  # fmt: skip
    for later in (train, report):
        with pytest.raises(RunError, match="version at .* no longer follows from generate") as told:
            later(repetition)
        assert "synthdata version" in str(told.value)


def test_an_input_far_up_that_changed_is_found(repetition: Path) -> None:
    run_stage(repetition / "prepare", stage="prepare", section=prepare(seed=1))
    with pytest.raises(RunError, match="layout at .* no longer follows from prepare"):
        train(repetition)


def test_an_unfinished_input_far_up_of_another_config_is_found(repetition: Path) -> None:
    def killed() -> dict[str, object]:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run_stage(
            repetition / "layout", section=jitter(0.5), work=killed,
            inputs={"prepare": repetition / "prepare"},
        )  # fmt: skip
    with pytest.raises(RunError, match="generate at .* no longer follows from layout"):
        train(repetition)


def test_going_back_to_the_earlier_config_mends_the_chain(repetition: Path) -> None:
    run_stage(repetition / "prepare", stage="prepare", section=prepare(seed=1))
    run_stage(repetition / "prepare", stage="prepare", section=prepare())
    train(repetition)


def test_a_removed_input_contradicts_nothing(repetition: Path) -> None:
    shutil.rmtree(repetition / "generate")
    train(repetition)


def test_shared_stages_are_followed_through_their_links(repetition: Path) -> None:
    second = repetition.with_name("seed-1")
    for stage in ("prepare", "layout", "generate", "version"):
        step = Step(stage, 1, LayoutConfig(), {}, second / stage, linked_from=repetition / stage)  # type: ignore[arg-type]
        run_step(step)
    train(second)
    run_stage(
        repetition / "layout", section=jitter(0.5), inputs={"prepare": repetition / "prepare"}
    )
    with pytest.raises(RunError, match="generate at .* no longer follows from layout"):
        train(second)


def test_a_moved_run_folder_still_holds_together(repetition: Path) -> None:
    moved = repetition.parent.rename(repetition.parent.with_name("renamed"))
    train(moved / "seed-0")


def test_a_damaged_record_is_named(repetition: Path) -> None:
    (repetition / "generate" / "config.yaml").write_text("")
    with pytest.raises(DamagedFileError, match=r"generate/config\.yaml can't be read"):
        train(repetition)
