"""Which stages an experiment runs, with which inputs, in which folders.

The command line, the flows and DVC all follow this plan; none knows the stages' order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthdata.config import STAGES, ExperimentConfig, StageName, StageSection
from synthdata.errors import ConfigError

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
    return _steps(config, dict.fromkeys(STAGES, workspace / "runs" / config.name))


def plan_filter_ablation(config: ExperimentConfig, workspace: Path) -> list[Step]:
    """Return the steps that tell what each filter is worth, against a random drop.

    The stages up to `score` are those of the run itself, done already or shared with it. Filters,
    arms, trainings and report are in `runs/<name>-filter-ablation`: the same list length for the
    whole pool, the random drop, what each filter keeps alone, and what all keep together. Each
    repetition filters and drops anew, so that no filter is compared with one lucky drop.

    Args:
        config: The experiment; its own arms are left aside.
        workspace: The folder that holds `runs/`.

    Raises:
        ConfigError: If the filters' pool isn't `synthetic`.
    """
    if config.filter.pool != "synthetic":
        raise ConfigError(
            f"a filter ablation needs filter.pool to be 'synthetic', got {config.filter.pool!r}"
        )
    kinds = [one.kind for one in config.filter.filters]
    alone = [f"synthetic_{kind}" for kind in kinds if len(kinds) > 1]
    arms = ["synthetic_random_drop", "synthetic", *alone, "synthetic_filtered"]
    values = config.model_dump()
    values["version"] |= {"arms": arms, "dvc": False}
    values["report"] |= {"reference": arms[0], "headline": arms[-1]}
    if STAGES.index(config.shared_through or "prepare") >= STAGES.index("filter"):
        values["shared_through"] = "score"
    run_dir = workspace / "runs" / config.name
    roots: dict[StageName, Path] = dict.fromkeys(STAGES, run_dir)
    own = run_dir.with_name(f"{config.name}-filter-ablation")
    roots |= dict.fromkeys(STAGES[STAGES.index("filter") :], own)
    return _steps(ExperimentConfig.model_validate(values), roots)


def _steps(config: ExperimentConfig, roots: Mapping[StageName, Path]) -> list[Step]:
    """Return the steps, each in `roots[stage]/seed-<s>/<stage>`."""
    steps = [step for seed in config.seeds for step in _repetition(config, roots, seed)]
    inputs = {f"seed-{step.seed}/{step.stage}": step.out_dir for step in steps}
    return [*steps, Step("report", None, config.report, inputs, roots["report"] / "report")]


def _repetition(config: ExperimentConfig, roots: Mapping[StageName, Path], seed: int) -> list[Step]:
    first = config.seeds[0]
    num_shared = STAGES.index(config.shared_through) + 1 if config.shared_through else 0

    def folder(stage: StageName, of_seed: int) -> Path:
        return roots[stage] / f"seed-{of_seed}" / stage

    steps = []
    for stage in STAGES[:-1]:
        shared = seed != first and STAGES.index(stage) < num_shared
        section: StageSection = getattr(config, stage)
        steps.append(
            Step(
                stage=stage,
                seed=seed,
                section=section.model_copy(update={"seed": first if shared else seed}),
                inputs={name: folder(name, seed) for name in INPUTS[stage]},
                out_dir=folder(stage, seed),
                linked_from=folder(stage, first) if shared else None,
            )
        )
    return steps
