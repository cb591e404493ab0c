"""Rungs: the ordinary stages train the recipes that are left, and the better ones go on."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from synthdata.config import ExperimentConfig
from synthdata.config.arms import ArmConfig
from synthdata.config.load import list_problems
from synthdata.config.search import FAMILIES, RungConfig, SearchConfig
from synthdata.config.train import TrainConfig
from synthdata.detectors.arms import Watch, train_arms
from synthdata.errors import ConfigError, OutOfTimeError, RunError
from synthdata.files import sha256_json
from synthdata.plan import Step, plan
from synthdata.runfolder import run_in_folder
from synthdata.search.progress import Progress
from synthdata.search.space import Recipe
from synthdata.search.study import Rung, Trial
from synthdata.stages import run_step

REFERENCE: Final = "reference"


def search_experiment(
    config: ExperimentConfig,
    section: SearchConfig,
    *,
    reference: ArmConfig,
    recipes: Mapping[str, Recipe],
) -> ExperimentConfig:
    """Return the experiment that trains all recipes; rungs train some of its arms.

    All rungs share its data sets, so that their lists are equally long and steps are comparable.

    Args:
        config: The experiment that recipes are sought for.
        section: The search.
        reference: What recipes are compared with; its pools are the config's.
        recipes: By the arm's name.

    Raises:
        ConfigError: If the recipes don't fit the experiment, such as a phase of less than one epoch
            of the first rung.
    """
    stated = config.model_dump(exclude_unset=True)
    values = stated | {
        "seeds": section.seeds[: section.rungs[-1].seeds],
        "pools": {
            **config.pools,
            **{k: v for one in recipes.values() for k, v in one.pools.items()},
        },
        "arms": {REFERENCE: reference, **{name: one.arm for name, one in recipes.items()}},
        "contrasts": (),
        "evaluation": {},
        "score": None,
        "search": None,
        "train": {**stated["train"], "epochs": section.rungs[0].epochs},
        "version": {**stated.get("version", {}), "dvc": False},
    }
    try:
        experiment = ExperimentConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"a recipe of search.spaces has {list_problems(error)}") from None
    return experiment.model_copy(update={"name": f"{config.name}-search"})


@dataclass(frozen=True)
class Trainer:
    """Trains some arms of the search's experiment, stage by stage.

    Attributes:
        experiment: With all recipes as arms.
        workspace: The folder that holds `runs/`.
        deadline: Nothing is started after it; a time of `time.monotonic`, in seconds.
        progress: What is shown of it.
    """

    experiment: ExperimentConfig
    workspace: Path
    deadline: float | None
    progress: Progress

    def train(self, rung: RungConfig, arms: Sequence[str]) -> dict[str, Rung]:
        """Return what a rung measured of arms on val, by name.

        What is done, by this or an earlier call, isn't repeated.

        Raises:
            OutOfTimeError: If the deadline came before the end.
        """
        seeds = self.experiment.seeds[: rung.seeds]
        results = {}
        for step in plan(self.experiment, self.workspace):
            if step.seed not in seeds:
                continue
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise OutOfTimeError(f"stage {step.stage} of seed {step.seed} was not started")
            if step.stage == "train":
                results[step.seed] = self._train(step, rung.epochs, arms)["arms"]
            else:
                run_step(step)
        return {
            arm: _measured(rung, {seed: of[arm] for seed, of in results.items()}) for arm in arms
        }

    def _train(self, step: Step, epochs: int, arms: Sequence[str]) -> Mapping[str, Any]:
        """Train and score arms of one repetition, in a folder of the rung's own."""
        section = step.section
        if (
            not isinstance(section, TrainConfig)
            or section.evaluation_split != "val"
            or section.shifted
        ):
            raise RunError("a search chooses recipes, and opens val alone")
        section = section.model_copy(update={"epochs": epochs})
        out_dir = step.out_dir.with_name(f"train-{epochs}")
        done: list[str] = []
        self.progress.begin(f"{epochs} epochs, seed {step.seed}")

        def trained(arm: str) -> None:
            done.append(arm)
            self.progress.trained(epochs)

        result = run_in_folder(
            "train",
            section,
            inputs=step.inputs,
            out_dir=out_dir,
            fingerprint=sha256_json(sorted(arms)),
            work=partial(
                train_arms,
                section,
                version_dir=step.inputs["version"],
                out_dir=out_dir,
                only=arms,
                watch=Watch(trained, self.deadline),
            ),
        )
        self.progress.found(epochs * (len(arms) - len(done)))
        return result.metrics


def _measured(rung: RungConfig, by_seed: Mapping[int, Mapping[str, Any]]) -> Rung:
    steps = {int(values["steps"]) for values in by_seed.values()}
    return Rung(
        epochs=rung.epochs,
        steps=max(steps),
        map50_95={seed: float(values["map50_95"]) for seed, values in by_seed.items()},
        per_class={seed: values["per_class"] for seed, values in by_seed.items()},
    )


def num_kept(number: int, keep: float) -> int:
    """Return how many of a family's recipes go on to the next rung: at least one."""
    return max(1, int(number * keep + 1e-9))  # 0.29 * 100 isn't 29


def promoted(trials: Sequence[Trial], rung: int, keep: float) -> list[Trial]:
    """Return the trials that go on: of each family those with the highest mean mAP50-95.

    Args:
        trials: Those that the rung trained; of equal ones the earlier goes first.
        rung: Its index.
        keep: Share of each family's.
    """
    chosen = []
    for family in FAMILIES:
        ranked = sorted(
            (trial for trial in trials if trial.family == family),
            key=lambda trial: (-trial.rungs[rung].mean, trial.number),
        )
        chosen += ranked[: num_kept(len(ranked), keep)]
    return sorted(chosen, key=lambda trial: trial.number)
