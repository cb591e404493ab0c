"""`best.yaml`: what was found, its twins, and two contrasts, as a config that loads."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from search_configs import recipe, search_config, trial

from synthdata.config import ExperimentConfig, load_config
from synthdata.config.composite import CompositeConfig
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import FolderPool, GeneratorPool, PoolConfig
from synthdata.config.search import Family
from synthdata.plan import plan
from synthdata.search.best import best_experiment, choose_trial, write_best
from synthdata.search.study import Trial
from synthdata.search.twins import free_counterpart, without_extras

PASTING = PasteConfig(kind="paste", flip_lr=0.0, mask="box", num_images=16)


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    return search_config(tmp_path)


def pools_of(config: ExperimentConfig) -> dict[str, PoolConfig]:
    made = config.pools["synthetic"]
    assert isinstance(made, GeneratorPool)
    return {
        "made": made.model_copy(update={"balance": 0.75}),
        "pasted": PASTING,
        "over": PasteConfig(kind="paste", onto="made", balance=0.25),
        "brought": FolderPool(kind="folder", path=Path("renders"), format="yolo"),
    }


def twin(config: ExperimentConfig, arm: dict[str, Any]) -> dict[str, Any]:
    """Return the twin's JSON, with the pools in the place of their names."""
    one = recipe(config, arm, pools_of(config))
    found = free_counterpart(one, pasting=PASTING, config=config)
    assert found.family == "free"
    return found.to_json()


def test_generated_pools_give_way_to_pasting_at_their_balance(config: ExperimentConfig) -> None:
    filtered = {"share": 0.4, "keep": "filtered", "sampling": "instance_balanced"}
    found = twin(config, {"extra": {"made": filtered}, "sampling": "instance_balanced"})

    (pool,) = found["pools"].values()
    assert pool == PASTING.model_copy(update={"balance": 0.75}).model_dump(mode="json")
    (part,) = found["arm"]["extra"].values()
    assert part == {"share": 0.4, "keep": None, "sampling": "instance_balanced"}
    assert found["arm"]["sampling"] == "instance_balanced"


def test_phases_stay_and_shares_of_one_pool_are_added(config: ExperimentConfig) -> None:
    first = {"steps": 0.6, "extra": {"made": 0.3, "pasted": 0.2}}
    last = {"steps": 0.4, "learning_rate": 0.1, "replay": 0.2, "extra": {"over": 0.5}}

    found = twin(config, {"phases": [first, last]})

    phases, pools = found["arm"]["phases"], found["pools"]
    assert [phase["steps"] for phase in phases] == [0.6, 0.4]
    assert (phases[1]["learning_rate"], phases[1]["replay"]) == (0.1, 0.2)
    (share,) = [part["share"] for part in phases[0]["extra"].values()]
    assert share == 0.5, "both are the same pasting now"
    (name,) = phases[1]["extra"]
    assert (pools[name]["onto"], pools[name]["balance"]) == ("real", 0.25)


def test_a_composite_gives_way_to_the_pool_that_it_repaints(config: ExperimentConfig) -> None:
    pools = pools_of(config) | {"painted": CompositeConfig(kind="composite", onto="pasted")}
    one = recipe(config, {"extra": {"painted": 0.6}}, pools)
    assert one.family == "synthetic"

    found = free_counterpart(one, pasting=PasteConfig(kind="paste", balance=0), config=config)

    assert found == recipe(config, {"extra": {"pasted": 0.6}}, pools)


def test_a_folder_gives_way_to_pasting_and_free_pools_stay(config: ExperimentConfig) -> None:
    found = twin(config, {"extra": {"brought": 0.3, "over": 0.1}})
    assert sorted(pool["balance"] for pool in found["pools"].values()) == [0.25, PASTING.balance]


def test_a_free_recipe_without_extras_keeps_its_sampling(config: ExperimentConfig) -> None:
    arm = {"sampling": "instance_balanced", "extra": {"pasted": 0.3}}
    bare = without_extras(recipe(config, arm, pools_of(config)), config=config)
    assert bare == recipe(config, {"sampling": "instance_balanced"}, {})


def test_of_those_that_may_be_the_best_the_cheapest_is_advised(config: ExperimentConfig) -> None:
    pools = pools_of(config)
    arms: list[dict[str, Any]] = [
        {"extra": {"made": {"share": 0.6, "keep": "filtered"}}},
        {"extra": {"made": 0.6}},
        {"extra": {"made": 0.3}},
        {"extra": {"made": 0.1}},
    ]
    scores = [(0.51, 0.51), (0.45, 0.55), (0.44, 0.54), (0.1, 0.2)]
    trials = [
        trial(i, recipe(config, arm, pools), *of)
        for i, (arm, of) in enumerate(zip(arms, scores, strict=True))
    ]
    assert choose_trial(trials, "synthetic").number == 2, "the cheapest is far behind"
    free = trial(4, recipe(config, {"sampling": "instance_balanced"}, {}), 0.0)
    assert choose_trial([*trials, free], "free").number == 4


def write(config: ExperimentConfig, folder: Path, free: dict[str, Any], *overrides: str) -> Path:
    """Write `best.yaml` for one synthetic recipe and a free one."""
    pools = pools_of(config)
    synthetic = {"extra": {"made": 0.5}}
    best: dict[Family, Trial] = {
        "free": trial(0, recipe(config, free, pools), 0.1, epochs=4),
        "synthetic": trial(1, recipe(config, synthetic, pools), 0.2, epochs=4),
    }
    arms = config.resolved_arms()
    values = best_experiment(
        config,
        list(best.values()),
        best=best,
        reference=("real", arms["real"]),
        reference_scores={100: 0.1, 101: 0.2},
    )  # type: ignore[arg-type]
    path = folder / "runs" / "mine-search" / "best.yaml"
    path.parent.mkdir(parents=True)
    source = folder / "mine.yaml"
    write_best(path, values, config=config, source=source, overrides=overrides, comment="a\nb")
    return path


def test_it_loads_and_runs_what_was_found(config: ExperimentConfig, tmp_path: Path) -> None:
    path = write(config, tmp_path, {"extra": {"pasted": 0.3}, "sampling": "repeat_factor"})

    assert path.read_text().startswith("# a\n# b\nextends: ../../mine.yaml\nname: mine-best\n")
    best = load_config(path)
    arms = best.resolved_arms()
    assert {name: (arm.role, arm.twin) for name, arm in arms.items()} == {
        "real": ("reference", None),
        "synthetic": ("candidate", "synthetic_twin"),
        "free": ("free", "free_twin"),
        "synthetic_twin": ("free", None),
        "free_twin": ("free", None),
    }
    assert best.contrasts == (("synthetic", "free"), ("synthetic", "real"))
    assert best.search is None
    assert best.report.selection == {
        "real": {100: 0.1, 101: 0.2}, "free": {100: 0.1}, "synthetic": {100: 0.2},
    }  # fmt: skip
    assert best.seeds == config.seeds
    assert best.train.epochs == 4
    assert best.version.list_length == 24, "3 steps an epoch of 8 images"
    assert best.prepare == config.prepare
    assert {step.stage for step in plan(best, tmp_path)} >= {"fit", "generate", "train", "report"}


def test_the_twin_may_be_the_best_free_recipe_and_the_reference(
    config: ExperimentConfig, tmp_path: Path
) -> None:
    # What the generator's twin comes to: pasting at .75, half of the list.
    best = load_config(write(config, tmp_path, {"extra": {"pasted": 0.5}}))

    assert PASTING.balance == 0.75
    assert set(best.arms) == {"real", "synthetic", "free"}
    assert best.arms["synthetic"].twin == "free"
    assert best.arms["free"].twin is None, "its twin is the reference"


@pytest.mark.usefixtures("config")
def test_overrides_are_part_of_what_is_written(tmp_path: Path) -> None:
    overrides = ["train.detector={kind: ultralytics, model: yolov8p.yaml}", "seeds=[7]"]
    changed = load_config(tmp_path / "mine.yaml", overrides)

    path = write(changed, tmp_path, {"sampling": "repeat_factor"}, *overrides)

    assert "extends" not in yaml.safe_load(path.read_text())
    best = load_config(path)
    assert best.train.detector == changed.train.detector
    assert best.train.epochs == 4
    assert best.seeds == (7,)
    (tmp_path / "mine.yaml").unlink()
    assert load_config(path) == best


@pytest.mark.usefixtures("config")
def test_a_score_of_a_pool_that_is_no_more_takes_the_one_that_is(tmp_path: Path) -> None:
    text = json.loads((tmp_path / "mine.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(json.dumps({**text, "score": {"pool": "synthetic"}}))
    best = load_config(
        write(load_config(tmp_path / "mine.yaml"), tmp_path, {"sampling": "repeat_factor"})
    )
    assert best.scored_pool in best.pools
