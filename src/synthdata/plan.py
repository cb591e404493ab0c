"""Which stages an experiment runs, with which inputs, in which folders.

The command line, the flows and DVC all follow this plan; none knows the stages' order. A stage
that no arm asks for isn't run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthdata.config import STAGES, ExperimentConfig, StageName, StageSection
from synthdata.config.arms import KEEP_FILTERED, KEEP_RANDOM, MAX_CONTRASTS, ArmConfig, Extra
from synthdata.config.filter import FilterConfig, MemorisationFilterConfig
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import GeneratorPool, PoolConfig
from synthdata.errors import ConfigError

_INPUTS: Mapping[StageName, tuple[StageName, ...]] = {
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
        section: Its config, with what the plan sets.
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
    arms, trainings and report are in `runs/<name>-filter-ablation`. Each repetition filters and
    drops anew, so that no filter is compared with one lucky drop.

    Args:
        config: The experiment. The first use of what the filters keep of a pool says which pool,
            and its share of the list; the experiment's own arms are left aside.
        workspace: The folder that holds `runs/`.

    Raises:
        ConfigError: If no arm takes what the filters keep.
    """
    uses = [use for arm in config.arms.values() for use in arm.extras()]
    pool, part = next(
        ((pool, part) for pool, part in uses if part.keep == KEEP_FILTERED), (None, None)
    )
    if pool is None or part is None or config.filter is None:
        raise ConfigError(
            "a filter ablation needs an arm that takes what the filters keep of a pool, such as "
            "`arms: {filtered: {extra: {<pool>: {share: 0.5, keep: filtered}}}}`"
        )
    values: dict[str, Any] = {
        **_ablation(pool, part, config.filter),
        "version": config.version.model_copy(update={"dvc": False}),
    }
    if STAGES.index(config.shared_through or "prepare") >= STAGES.index("filter"):
        values["shared_through"] = "score"
    run_dir = workspace / "runs" / config.name
    roots: dict[StageName, Path] = dict.fromkeys(STAGES, run_dir)
    own = run_dir.with_name(f"{config.name}-filter-ablation")
    roots |= dict.fromkeys(STAGES[STAGES.index("filter") :], own)
    return _steps(config.model_copy(update=values), roots, made=config)


def _ablation(pool: str, part: Extra, section: FilterConfig) -> dict[str, Any]:
    """Return arms that differ by what is kept of a pool, and their contrasts to a random drop."""

    def arm(keep: str | None, title: str, **values: Any) -> ArmConfig:  # noqa: ANN401
        extra = {pool: part.model_copy(update={"keep": keep})}
        return ArmConfig(extra=extra, title=title, **values)

    names = {keep: f"{pool}_{keep}" for keep in (KEEP_FILTERED, KEEP_RANDOM)}
    arms = {
        names[KEEP_RANDOM]: arm(KEEP_RANDOM, "Random drop", role="reference"),
        pool: arm(None, "Whole pool"),
    }
    ranking = []
    for one in section.filters if len(section.filters) > 1 else ():
        arms[f"{pool}_{one.kind}"] = arm(one.kind, f"Filter {one.kind} alone")
        if not isinstance(one, MemorisationFilterConfig):
            ranking.append(f"{pool}_{one.kind}")
    arms[names[KEEP_FILTERED]] = arm(KEEP_FILTERED, "All filters", twin=names[KEEP_RANDOM])
    tested = [names[KEEP_FILTERED], *ranking][:MAX_CONTRASTS]
    return {"arms": arms, "contrasts": tuple((one, names[KEEP_RANDOM]) for one in tested)}


def _steps(
    config: ExperimentConfig,
    roots: Mapping[StageName, Path],
    *,
    made: ExperimentConfig | None = None,
) -> list[Step]:
    """Return the steps, each in `roots[stage]/seed-<s>/<stage>`.

    Args:
        config: The experiment.
        roots: Where each stage's repetitions are.
        made: Whose pools are made; None takes the experiment's own.
    """
    sections = _sections(config, made or config)
    steps = [step for seed in config.seeds for step in _repetition(config, sections, roots, seed)]
    inputs = {f"seed-{step.seed}/{step.stage}": step.out_dir for step in steps}
    return [*steps, Step("report", None, sections["report"], inputs, roots["report"] / "report")]


def _sections(config: ExperimentConfig, made: ExperimentConfig) -> dict[StageName, StageSection]:
    """Return the sections of the stages that the arms ask for, complete with what they ask."""
    arms = config.resolved_arms()
    pools = {name: resolve_pool(made.pools[name], made) for name in made.used_pools}
    balances = {p.balance or 0.0 for p in pools.values() if isinstance(p, GeneratorPool)}
    found: dict[StageName, StageSection | None] = {
        "prepare": config.prepare,
        "fit": config.fit if made.needs_fit else None,
        "layout": _with(config.layout, balances=tuple(sorted(balances))) if balances else None,
        "generate": _with(config.generate, pools=pools) if pools else None,
        "score": _with(made.score, pool=made.scored_pool)
        if made.score and made.scored_pool
        else None,
        "filter": _with(config.filter, pools=tuple(config.filtered_pools))
        if config.filter and config.filtered_pools
        else None,
        "version": _with(
            config.version,
            arms=arms,
            batch_size=config.train.batch_size,
            shifted=config.evaluation.shifted,
        ),
        "train": config.train,
        "report": _with(config.report, arms=arms, contrasts=config.contrasts),
    }
    return {stage: section for stage, section in found.items() if section is not None}


def resolve_pool(pool: PoolConfig, config: ExperimentConfig) -> PoolConfig:
    """Return a pool with what it takes from section layout filled in."""
    if isinstance(pool, GeneratorPool) and pool.balance is None:
        return pool.model_copy(update={"balance": config.layout.balance})
    if isinstance(pool, PasteConfig) and pool.num_images is None:
        return pool.model_copy(update={"num_images": config.layout.num_layouts})
    return pool


def _with(section: StageSection, **values: object) -> StageSection:
    return section.model_copy(update=values)


def _repetition(
    config: ExperimentConfig,
    sections: Mapping[StageName, StageSection],
    roots: Mapping[StageName, Path],
    seed: int,
) -> list[Step]:
    first = config.seeds[0]
    num_shared = STAGES.index(config.shared_through) + 1 if config.shared_through else 0

    def folder(stage: StageName, of_seed: int) -> Path:
        return roots[stage] / f"seed-{of_seed}" / stage

    steps = []
    for stage in (stage for stage in STAGES[:-1] if stage in sections):
        shared = seed != first and STAGES.index(stage) < num_shared
        steps.append(
            Step(
                stage=stage,
                seed=seed,
                section=_with(sections[stage], seed=first if shared else seed),
                inputs={name: folder(name, seed) for name in _INPUTS[stage] if name in sections},
                out_dir=folder(stage, seed),
                linked_from=folder(stage, first) if shared else None,
            )
        )
    return steps
