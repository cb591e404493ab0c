"""`synthdata search`: tries recipes, and writes the best of each family as a config."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from synthdata.config import ExperimentConfig, StageName
from synthdata.config.arms import ArmConfig
from synthdata.config.search import FAMILIES, SearchConfig
from synthdata.datasets.sources import source_fingerprint
from synthdata.errors import ConfigError, DamagedFileError
from synthdata.files import sha256_json
from synthdata.generators.folder import folder_fingerprints
from synthdata.runfolder import hold_runs, key_parts, lock_folder
from synthdata.runfolder.stale import STALE
from synthdata.search.best import BEST, best_experiment, choose_trial, write_best
from synthdata.search.draw import draw_recipes
from synthdata.search.progress import Progress
from synthdata.search.rungs import REFERENCE, Trainer, num_kept, promoted, search_experiment
from synthdata.search.space import Recipe
from synthdata.search.study import STUDY, Study, Trial
from synthdata.search.trials import TRIALS, write_trials
from synthdata.stages import RAW_DIR

_DECIDING: Final[tuple[StageName, ...]] = (
    "prepare", "fit", "layout", "generate", "filter", "version", "train",
)  # fmt: skip

logger = logging.getLogger(__name__)


def search_recipes(
    config: ExperimentConfig,
    *,
    source: str | Path,
    overrides: Sequence[str] = (),
    workspace: Path,
    max_hours: float | None = None,
) -> Path:
    """Try recipes on val and write `best.yaml`; the same call goes on where one was ended.

    `runs/<name>-search` gets the stages' folders, each rung's trainings (`train-<epochs>`),
    `study.db`, `trials.csv` and `best.yaml`. A study of another search that lies there is set
    aside, and found again.

    Args:
        config: The experiment, with a section `search`.
        source: The file that it is from, or a bundled config's name.
        overrides: What was changed of that file.
        workspace: The folder that holds `runs/`.
        max_hours: Nothing is started after so many hours.

    Returns:
        `best.yaml`.

    Raises:
        ConfigError: If there is no section `search`, or a recipe isn't valid.
        OutOfTimeError: If the time was up before the end.
        RunError: If another process searches there.
        DamagedFileError: If the study isn't what was written.
        SynthdataError: What a stage raises.
    """
    deadline = None if max_hours is None else time.monotonic() + 3600 * max_hours
    section = config.search
    if section is None:
        raise ConfigError(
            "the config has no section search, which says which recipes are tried; see the how-to "
            "'Search for the recipe'"
        )
    out_dir = workspace / "runs" / f"{config.name}-search"
    name, arm = _reference(config)
    base = Recipe.of(arm, config.pools, config)
    drawn = draw_recipes(config, section, reference=base)
    # What doesn't fit together is found before a folder is made.
    recipes = {f"recipe-{number}": one.recipe for number, one in enumerate(drawn)}
    search_experiment(config, section, reference=arm, recipes=recipes)
    identity = _identity(config, section, base, recipes.values())
    with hold_runs([out_dir / STUDY], config), lock_folder(out_dir):
        found = _find_study(out_dir / STUDY, identity)
        if found is None:
            found = Study.create(out_dir / STUDY, drawn, identity=identity)
        with closing(found) as study:
            recipes = {trial.arm: trial.recipe for trial in study.trials}
            experiment = search_experiment(config, section, reference=arm, recipes=recipes)
            with Progress(_num_epochs(section, len(recipes) // 2)) as progress:
                trainer = Trainer(experiment, workspace, deadline, progress)
                last = _run_rungs(study, trainer, section)
            best = {family: choose_trial(last, family) for family in FAMILIES}
            measured = study.reference(len(section.rungs) - 1)
            if measured is None:
                raise DamagedFileError(
                    f"{out_dir / STUDY} has no score of the reference in its last rung; remove it "
                    "and search again: trainings that are done are kept"
                )
            values = best_experiment(
                config,
                study.trials,
                best=best,
                reference=(name, arm),
                reference_scores=measured.map50_95,
            )
        comment = _comment(best.values(), section)
        write_best(
            out_dir / BEST, values, config=config, source=source, overrides=overrides,
            comment=comment,
        )  # fmt: skip
    return out_dir / BEST


def _reference(config: ExperimentConfig) -> tuple[str, ArmConfig]:
    arms = config.resolved_arms()
    return next((name, arm) for name, arm in arms.items() if arm.role == "reference")


def _run_rungs(study: Study, trainer: Trainer, section: SearchConfig) -> list[Trial]:
    """Return the trials that came through the last rung."""
    trials = study.trials
    path = trainer.workspace / "runs" / trainer.experiment.name / TRIALS
    for index in range(len(section.rungs)):
        trials = _run_rung(study, trainer, section, index, trials)
        write_trials(study, path, num_rungs=index + 1)
    return trials


def _run_rung(
    study: Study, trainer: Trainer, section: SearchConfig, index: int, trials: list[Trial]
) -> list[Trial]:
    """Train what came this far, put it down, and return what goes on; after the last rung, all."""
    rung = section.rungs[index]
    if study.reference(index) is None or any(index not in trial.rungs for trial in trials):
        measured = trainer.train(rung, [REFERENCE, *(trial.arm for trial in trials)])
        study.record_reference(index, measured[REFERENCE])
        for trial in trials:
            study.record(trial, index, measured[trial.arm])
        numbers = {trial.number for trial in trials}
        trials = [trial for trial in study.trials if trial.number in numbers]
    else:
        trainer.progress.found(rung.epochs * rung.seeds * (1 + len(trials)))
    if rung == section.rungs[-1]:
        for trial in trials:
            study.complete(trial, trial.rungs[index].mean)
        return trials
    chosen = promoted(trials, index, section.keep)
    for trial in trials:
        if trial not in chosen:
            study.leave_out(trial)
    logger.info(
        "search: rung %d of %d is done, %d of %d recipes go on",
        index + 1, len(section.rungs), len(chosen), len(trials),
    )  # fmt: skip
    return chosen


def _num_epochs(section: SearchConfig, per_family: int) -> int:
    """Return the epochs of all trainings; the reference is trained in every rung."""
    total, number = 0, per_family
    for rung in section.rungs:
        total += rung.epochs * rung.seeds * (1 + 2 * number)
        number = num_kept(number, section.keep)
    return total


def _identity(
    config: ExperimentConfig, section: SearchConfig, reference: Recipe, recipes: Iterable[Recipe]
) -> str:
    """Return the digest of settings, data, code and libraries: all that a search depends on."""
    pools = dict(config.pools)
    for recipe in recipes:
        pools.update(recipe.pools)
    beside = {
        "prepare": source_fingerprint(config.prepare, RAW_DIR),
        "generate": folder_fingerprints(pools),
    }
    train = config.train.model_copy(update={"epochs": 1})  # rungs have their own
    stages = {stage: getattr(config, stage) for stage in _DECIDING} | {"train": train}
    return sha256_json(
        [
            section.model_dump(mode="json"),
            reference.digest,
            {name: pool.model_dump(mode="json") for name, pool in config.pools.items()},
            config.shared_through,
            [
                key_parts(stage, stages[stage], {}, beside.get(stage, "")).digest
                for stage in _DECIDING
                if stages[stage] is not None
            ],
        ]
    )


def _find_study(path: Path, identity: str) -> Study | None:
    """Return the study that goes on, which may have been set aside; None where there is none."""
    if path.is_file():
        study = Study(path)
        if study.identity == identity:
            return study
        study.close()
        kept = path.parent / STALE / study.identity
        kept.mkdir(parents=True, exist_ok=True)
        for name in (TRIALS, BEST, STUDY):
            if (path.parent / name).is_file():
                (path.parent / name).replace(kept / name)
        logger.warning(
            "search: %s is of another search (settings, data, code or libraries); it is kept in %s",
            path, kept,
        )  # fmt: skip
    earlier = path.parent / STALE / identity
    if not (earlier / STUDY).is_file():
        return None
    for name in (STUDY, BEST, TRIALS):
        if (earlier / name).is_file():
            (earlier / name).replace(path.parent / name)
    earlier.rmdir()
    logger.warning("search: %s was set aside, and is found again", path)
    return Study(path)


def _comment(best: Iterable[Trial], section: SearchConfig) -> str:
    seeds = ", ".join(map(str, section.seeds[: section.rungs[-1].seeds]))
    lines = [f"Written by `synthdata search`. Chosen on val, over the seeds {seeds}:"]
    for trial in best:
        last = trial.rungs[len(section.rungs) - 1]
        name = f"{trial.family} (trial {trial.number})"
        lines.append(f"  {name}: mAP50-95 {last.mean:.3f} after {last.steps} steps")
    return "\n".join([*lines, "A claim needs other seeds, and test: run it with --final."])
