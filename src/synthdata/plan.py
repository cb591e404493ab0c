"""Which stages an experiment runs, with which inputs, in which folders.

The command line, the flows and DVC all follow this plan; none knows the stages' order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthdata.config import STAGES, ExperimentConfig, StageName, StageSection

INPUTS: Mapping[StageName, tuple[StageName, ...]] = {
    "prepare": (),
    "fit": ("prepare",),
    "layout": ("prepare",),
    "generate": ("prepare", "fit", "layout"),
    "score": ("prepare", "fit", "generate"),
    "filter": ("prepare", "fit", "generate"),
    "version": ("prepare", "generate", "filter"),
    "train": ("version",),
}


@dataclass(frozen=True)
class Step:
    """One stage of one repetition.

    Attributes:
        stage: Its name.
        seed: The repetition; None for the report, which is over all.
        section: Its config, with the seed set.
        inputs: Folders it reads, by name.
        out_dir: Folder it writes.
        linked_from: The first repetition's folder, where the stage is shared.
    """

    stage: StageName
    seed: int | None
    section: StageSection
    inputs: Mapping[str, Path]
    out_dir: Path
    linked_from: Path | None = None


def plan(config: ExperimentConfig, workspace: Path) -> list[Step]:
    """Return the steps in an order in which each step's inputs are done before it.

    Args:
        config: The experiment.
        workspace: The folder that holds `runs/`.
    """
    run_dir = workspace / "runs" / config.name
    steps = [step for seed in config.seeds for step in _repetition(config, run_dir, seed)]
    inputs: dict[str, Path] = {}
    for seed in config.seeds:
        folder = run_dir / f"seed-{seed}"
        inputs |= {f"seed-{seed}/{stage}": folder / stage for stage in STAGES[:-1]}
    report = Step("report", None, config.report, inputs, run_dir / "report")
    return [*steps, report]


def _repetition(config: ExperimentConfig, run_dir: Path, seed: int) -> list[Step]:
    first = config.seeds[0]
    num_shared = STAGES.index(config.shared_through) + 1 if config.shared_through else 0
    folder = run_dir / f"seed-{seed}"
    steps = []
    for stage in STAGES[:-1]:
        shared = seed != first and STAGES.index(stage) < num_shared
        section: StageSection = getattr(config, stage)
        steps.append(
            Step(
                stage=stage,
                seed=seed,
                section=section.model_copy(update={"seed": first if shared else seed}),
                inputs={name: folder / name for name in INPUTS[stage]},
                out_dir=folder / stage,
                linked_from=run_dir / f"seed-{first}" / stage if shared else None,
            )
        )
    return steps
