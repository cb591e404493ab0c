"""Which recipes are drawn, and what the study keeps of them."""

import logging
from pathlib import Path

import optuna
import pytest
from search_configs import SPACES, recipe, search_config, trial

from synthdata.config import ExperimentConfig
from synthdata.errors import ConfigError, DamagedFileError
from synthdata.search.draw import Drawn, draw_recipes
from synthdata.search.rungs import num_kept, promoted, search_experiment
from synthdata.search.study import Rung, Study

FREE = {"family": "free", "arm": {"sampling": {"choose": ["even", "instance_balanced"]}}}


def draw(config: ExperimentConfig) -> list[Drawn]:
    assert config.search is not None
    return draw_recipes(config, config.search, reference=recipe(config, {}, {}))


def families(drawn: list[Drawn]) -> list[str]:
    return [one.family for one in drawn]


def test_each_family_gets_as_many_recipes_and_none_twice(tmp_path: Path) -> None:
    drawn = draw(search_config(tmp_path))

    assert families(drawn) == ["free"] * 3 + ["synthetic"] * 3
    assert [one.recipe.family for one in drawn] == families(drawn)
    assert len({one.recipe.digest for one in drawn}) == 6
    again = [one.recipe for one in draw(search_config(tmp_path))]
    assert again == [one.recipe for one in drawn], "the same search draws the same"
    other = draw(search_config(tmp_path, seeds=[102, 103]))
    assert {one.recipe.digest for one in other} != {one.recipe.digest for one in drawn}


def test_assignments_that_come_to_one_recipe_are_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Of 8 assignments 4 differ, since no arm uses the pool that two choices are about.
    idle = {"kind": "paste", "balance": {"choose": [0.1, 0.2]}}
    spaces = [{**SPACES[0], "pools": {**SPACES[0]["pools"], "idle": idle}}, SPACES[1]]

    with caplog.at_level(logging.WARNING):
        drawn = draw(search_config(tmp_path, spaces, trials=5))

    assert families(drawn) == ["free"] * 4 + ["synthetic"] * 4
    assert "there are 4 free recipes, and not search.trials (5); 4 of each" in caplog.text


def test_the_smaller_family_says_how_many_are_tried_and_the_reference_is_none(
    tmp_path: Path,
) -> None:
    drawn = draw(search_config(tmp_path, [FREE, SPACES[1]]))
    assert families(drawn) == ["free", "synthetic"]
    assert drawn[0].recipe.arm.sampling == "instance_balanced"

    real = {"family": "free", "arm": {"sampling": "even"}}
    with pytest.raises(ConfigError, match="no free recipe but the reference"):
        draw(search_config(tmp_path, [real, SPACES[1]]))


def test_a_study_keeps_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    drawn = draw(search_config(tmp_path))
    study = Study.create(path, drawn, identity="this search")
    low, high = (Rung(1, 3, {100: score}, {100: {"0": score, "4": None}}) for score in (0.1, 0.2))
    for one in study.trials:
        study.record(one, 0, high if one.number in (1, 4) else low)
    study.record_reference(0, low)
    chosen = promoted(study.trials, 0, 0.5)
    for one in study.trials:
        if one.number not in (1, 4):
            study.leave_out(one)
            study.leave_out(one)  # a call that goes on does it again
    last = Rung(2, 6, {100: 0.3, 101: 0.5}, {100: {"0": 0.3}, 101: {"0": 0.5}})
    for one in chosen:
        study.record(one, 1, last)
        study.complete(one, last.mean)
    study.close()

    found = Study(path)
    assert found.identity == "this search"
    assert [one.number for one in chosen] == [1, 4]
    assert [one.recipe for one in found.trials] == [one.recipe for one in drawn]
    assert found.trials[1].rungs == {0: high, 1: last}
    assert found.reference(0) == low
    assert found.reference(1) is None
    shown = optuna.load_study(study_name=None, storage=f"sqlite:///{path}").trials
    assert [one.state.name for one in shown] == (["PRUNED", "COMPLETE", "PRUNED"] * 2)
    assert shown[1].intermediate_values == {3: 0.2, 6: 0.4}
    assert shown[1].value == 0.4
    assert shown[1].params["search.spaces[0].arm.extra.pasted"] in ("0.3", "0.6")


@pytest.mark.parametrize("content", [b"", b"no database, not at all" * 100])
def test_a_damaged_study_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.db").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"study.db can't be read as an Optuna study"):
        Study(tmp_path / "study.db")


def test_the_better_half_of_each_family_goes_on(tmp_path: Path) -> None:
    config = search_config(tmp_path)
    free = [recipe(config, {"sampling": name}, {}) for name in ("even", "instance_balanced")]
    made = [recipe(config, {"extra": {"synthetic": s}}, config.pools) for s in (0.2, 0.3, 0.4)]
    trials = [
        trial(0, free[0], 0.9, rung=0), trial(1, free[1], 0.8, rung=0),
        trial(2, made[0], 0.1, 0.2, rung=0), trial(3, made[1], 0.0, 0.4, rung=0),
        trial(4, made[2], 0.3, 0.1, rung=0),
    ]  # fmt: skip
    assert [one.number for one in promoted(trials, 0, 0.5)] == [0, 3]
    assert [one.number for one in promoted(trials, 0, 0.7)] == [0, 3, 4], "the earlier of equals"
    assert [num_kept(n, keep) for n, keep in ((1, 0.1), (8, 0.5), (100, 0.29))] == [1, 4, 29]


def test_recipes_are_trained_by_an_experiment_that_looks_at_val_alone(tmp_path: Path) -> None:
    config = search_config(tmp_path)
    assert config.search is not None
    recipes = {f"{one.family}-{i}": one.recipe for i, one in enumerate(draw(config))}

    experiment = search_experiment(
        config, config.search, reference=config.arms["real"], recipes=recipes
    )

    assert experiment.name == "mine-search"
    assert set(experiment.arms) == {"reference", *recipes}
    assert experiment.seeds == (100, 101)
    assert (experiment.train.evaluation_split, experiment.train.shifted) == ("val", False)
    assert not experiment.evaluation.shifted
    assert experiment.score is None
    assert experiment.version.dvc is False
    assert experiment.version.list_length == config.version.list_length
    assert experiment.fit == config.fit

    phases = {"phases": [{"steps": 0.2}, {"steps": 0.8, "learning_rate": 0.1}]}
    short = {"free-0": recipe(config, phases, {})}
    with pytest.raises(ConfigError, match="a phase of less than one of the 1 epochs"):
        search_experiment(config, config.search, reference=config.arms["real"], recipes=short)
