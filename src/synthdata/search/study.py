"""The study: which recipes are tried, and what each rung measured; an Optuna study in SQLite.

All recipes are drawn before the first training, as successive halving has it (K. Jamieson and
A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016),
and the file appears when all are in it. A trial runs until a rung leaves it out (`PRUNED`) or it
has come through the last one (`COMPLETE`). Its intermediate values are the mean mAP50-95 on val by
optimizer steps, its user attributes `family`, `arm`, `digest`, `recipe` and `rung-<i>`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Self

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from synthdata.config.search import Family
from synthdata.errors import DamagedFileError
from synthdata.files import replacing
from synthdata.search.draw import Drawn
from synthdata.search.space import Recipe

STUDY: Final = "study.db"
_IDENTITY: Final = "identity"


@dataclass(frozen=True)
class Rung:
    """What a rung measured of one arm.

    Attributes:
        epochs: Of each training.
        steps: Optimizer steps of each training.
        map50_95: On val, by seed.
        per_class: Average precision by seed and class; None where val shows no object of it.
    """

    epochs: int
    steps: int
    map50_95: Mapping[int, float]
    per_class: Mapping[int, Mapping[str, float | None]]

    @property
    def mean(self) -> float:
        """Mean mAP50-95 over the seeds."""
        return fmean(self.map50_95.values())

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what JSON has, where seeds are text."""
        by_seed = {
            name: {int(seed): one for seed, one in values[name].items()}
            for name in ("map50_95", "per_class")
        }
        return cls(values["epochs"], values["steps"], **by_seed)


@dataclass(frozen=True)
class Trial:
    """A recipe that is tried.

    Attributes:
        number: Of the trial, from 0; the free ones come first.
        family: Its recipe's.
        arm: Its name in the search's experiment.
        recipe: What it is.
        rungs: What each rung measured, by the rung's index, as far as it came.
    """

    number: int
    family: Family
    arm: str
    recipe: Recipe
    rungs: Mapping[int, Rung]


class Study:
    """The trials of a search, on the disk.

    Args:
        path: An SQLite file that `create` made.

    Attributes:
        identity: Digest of all that the search's result depends on.

    Raises:
        DamagedFileError: If the file isn't what `create` made.
    """

    def __init__(self, path: Path) -> None:
        with _naming(path):
            self._storage = RDBStorage(f"sqlite:///{path}")
            self._study = optuna.load_study(study_name=None, storage=self._storage)
            self.identity = str(self._study.user_attrs[_IDENTITY])

    @classmethod
    def create(cls, path: Path, drawn: Sequence[Drawn], *, identity: str) -> Self:
        """Write a study with a trial for each recipe; its file appears when it is whole.

        Args:
            path: The file.
            drawn: The recipes.
            identity: Digest of all that the search's result depends on.
        """
        with replacing(path) as temporary:
            storage = RDBStorage(f"sqlite:///{temporary}")
            study = optuna.create_study(
                study_name=path.parent.name, storage=storage, direction="maximize"
            )
            study.set_user_attr(_IDENTITY, identity)
            for number, one in enumerate(drawn):
                study.add_trial(_running_trial(number, one))
            _close(storage)
        return cls(path)

    @property
    def trials(self) -> list[Trial]:
        """All recipes that are tried."""
        return [_trial(one) for one in self._study.trials]

    def reference(self, rung: int) -> Rung | None:
        """Return what a rung measured of the reference; None where it isn't done."""
        values = self._study.user_attrs.get(_attribute(rung))
        return None if values is None else Rung.from_json(values)

    def record_reference(self, rung: int, measured: Rung) -> None:
        """Put down what a rung measured of the reference."""
        self._study.set_user_attr(_attribute(rung), asdict(measured))

    def record(self, trial: Trial, rung: int, measured: Rung) -> None:
        """Put down what a rung measured of a trial."""
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        self._storage.set_trial_intermediate_value(trial_id, measured.steps, measured.mean)
        self._storage.set_trial_user_attr(trial_id, _attribute(rung), asdict(measured))

    def leave_out(self, trial: Trial) -> None:
        """End a trial that doesn't go on to the next rung, if it hasn't ended."""
        self._study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)

    def complete(self, trial: Trial, value: float) -> None:
        """End a trial that came through the last rung, with its mean mAP50-95 there."""
        self._study.tell(trial.number, value, skip_if_finished=True)

    def close(self) -> None:
        """Let go of the file."""
        _close(self._storage)


def _running_trial(number: int, drawn: Drawn) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params=drawn.choices.params,
        distributions=drawn.choices.distributions,
        user_attrs={
            "family": drawn.family,
            "arm": f"{drawn.family}-{number}",
            "digest": drawn.recipe.digest,
            "recipe": json.dumps(drawn.recipe.to_json()),
        },
    )


def _trial(frozen: FrozenTrial) -> Trial:
    values = frozen.user_attrs
    prefix = _attribute("")
    return Trial(
        number=frozen.number,
        family=values["family"],
        arm=values["arm"],
        recipe=Recipe.from_json(json.loads(values["recipe"])),
        rungs={
            int(name.removeprefix(prefix)): Rung.from_json(one)
            for name, one in sorted(values.items())
            if name.startswith(prefix)
        },
    )


def _attribute(rung: int | str) -> str:
    return f"rung-{rung}"


def _close(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (StorageInternalError, SQLAlchemyError, KeyError, RuntimeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise DamagedFileError(
            f"{path} can't be read as an Optuna study ({problem}); it was cut, emptied or changed "
            "after it was written. Remove it and search again: trainings that are done are kept"
        ) from error
