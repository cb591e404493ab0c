"""A recipe is one assignment of a space's choices, and equal ones are found to be."""

from pathlib import Path
from typing import Any

import pytest
from search_configs import GENERATED, SPACES, search_config, search_section

from synthdata.config import load_config
from synthdata.config.search import SearchConfig, SpaceConfig
from synthdata.errors import ConfigError
from synthdata.plan import plan
from synthdata.search.space import Recipe, assign, make_recipe

CONFIG = load_config("smoke.yaml")
PASTE = {"kind": "paste", "balance": 0.5}


def make(family: str, arm: dict[str, Any], pools: dict[str, Any] | None = None) -> Recipe:
    space = SpaceConfig.model_validate({"family": family, "arm": arm, "pools": pools or {}})
    return make_recipe(space, lambda _path, _options: 0, CONFIG, path="search.spaces[0]")


def test_choices_stand_anywhere_and_in_each_other() -> None:
    asked = []

    def last(path: str, options: Any) -> int:
        asked.append(path)
        return len(options) - 1

    value = {
        "phases": [{"steps": 0.6}, {"steps": {"choose": [0.2, 0.4]}}],
        "pool": {"choose": [{"kind": "a"}, {"kind": "b", "size": {"choose": [[1, 2], [3, 4]]}}]},
    }

    assert assign(value, last, "arm") == {
        "phases": [{"steps": 0.6}, {"steps": 0.4}],
        "pool": {"kind": "b", "size": [3, 4]},
    }
    assert asked == ["arm.phases[1].steps", "arm.pool", "arm.pool=1.size"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": PASTE}, {"a": {**PASTE, "num_objects": [2, 6]}}),  # a default, stated
        ({"a": PASTE}, {"a": PASTE, "b": {"kind": "paste"}}),  # a pool that the arm doesn't use
        ({"a": PASTE}, {"a": {**PASTE, "num_images": CONFIG.layout.num_layouts}}),
    ],
)
def test_what_makes_no_difference_makes_no_recipe(one: Any, other: Any) -> None:
    arm = {"extra": {"a": 0.3}}
    assert make("free", arm, one).digest == make("free", arm, other).digest
    assert make("free", arm, one).digest != make("free", {"extra": {"a": 0.4}}, one).digest
    changed = {"a": {**PASTE, "flip_lr": 0.1}}
    assert make("free", arm, one).digest != make("free", arm, changed).digest


def test_pools_are_called_by_what_they_are() -> None:
    shared = make("free", {"extra": {"a": 0.3}}, {"a": PASTE})
    renamed = make("free", {"extra": {"b": 0.3}}, {"b": PASTE})
    assert shared.digest == renamed.digest

    pools = {"under": GENERATED, "over": {**PASTE, "onto": "under"}}
    built = make("synthetic", {"phases": [{"steps": 1, "extra": {"over": 0.3}}]}, pools)

    (below, above) = built.pools
    assert (below.partition("-")[0], above.partition("-")[0]) == ("generator", "paste")
    assert built.pools[above].onto == below  # type: ignore[union-attr]
    assert built.arm.pools == {above}
    assert Recipe.from_json(built.to_json()) == built


def test_an_arm_may_use_the_pools_of_the_config() -> None:
    assert make("synthetic", {"extra": {"synthetic": 0.5}}).family == "synthetic"
    assert make("free", {"extra": {"copy_paste": 0.5}}).family == "free"


@pytest.mark.parametrize(
    ("family", "arm", "pools", "message"),
    [
        ("free", {"extra": {"a": 0.3}}, {"a": GENERATED}, "of family free, and gives .*synthetic"),
        ("synthetic", {"extra": {"a": 0.3}}, {"a": PASTE}, "of family synthetic, and.* is free"),
        ("synthetic", {"sampling": "even"}, {}, "which is free"),
        ("free", {"extra": {"a": 0.3}}, {"a": {"kind": "folder", "path": "x", "format": "yolo"}},
         "which is synthetic"),
        ("free", {"real": ["train", "reserve"]}, {}, "which is a ceiling"),
        ("free", {"extra": {"nothing": 0.3}}, {}, "it names pool 'nothing', there is"),
        ("free", {"extra": {"real": 0.3}}, {"real": PASTE}, "no pool can be called 'real'"),
        ("free", {"extra": {"a": 1.3}}, {"a": PASTE}, r"1 problem:\n  extra.a.share: "),
        ("free", {"extra": {"a": 0.3}}, {"a": {**PASTE, "onto": "b"}}, "onto is 'b', there is"),
        ("free", {"extra": {"a": 0.3}}, {"a": {"kind": "paint"}}, "1 problem:\n  a: "),
    ],
)  # fmt: skip
def test_a_space_is_what_it_says_it_is(family: str, arm: Any, pools: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make(family, arm, pools)
    assert str(error.value).startswith("search.spaces[0] ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [0, 1]}, "greater than or equal to 100"),
        ({"seeds": [100, 100]}, "seeds must differ from each other"),
        ({"rungs": [{"epochs": 2}]}, "at least 2 items"),
        ({"rungs": [{"epochs": 2}, {"epochs": 2, "seeds": 2}]}, "more epochs than the one before"),
        ({"rungs": [{"epochs": 1, "seeds": 2}, {"epochs": 2}]}, "as many seeds at least"),
        ({"rungs": [{"epochs": 1}, {"epochs": 2, "seeds": 3}]}, "asks for 3 seeds, seeds has 2"),
        ({"keep": 1}, "less than 1"),
        ({"spaces": SPACES[:1] * 2}, "there is none of 'synthetic'"),
        ({"spaces": [*SPACES, {"family": "free", "arm": {"sampling": {"choose": []}}}]},
         "a list of at least one value"),
        ({"spaces": [*SPACES, {"family": "free", "arm": {"sampling": {"choose": "even"}}}]},
         "a list of at least one value"),
        ({"spaces": [*SPACES, {"family": "free", "arm": {"sampling": {"choose": [1], "or": 2}}}]},
         "a mapping with the one key choose"),
        ({"spaces": [*SPACES, {"family": "free", "arm": {"real": [{"choose": ["a", "a"]}]}}]},
         "must differ from each other"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchConfig.model_validate(search_section(**change))


def test_no_seed_of_a_claim_is_searched_with(tmp_path: Path) -> None:
    search_config(tmp_path)
    with pytest.raises(ConfigError, match=r"search.seeds and seeds share \[101\]"):
        load_config(tmp_path / "mine.yaml", ["seeds=[101,102]"])


def test_a_search_changes_nothing_of_a_run(tmp_path: Path) -> None:
    config = search_config(tmp_path)
    without = config.model_copy(update={"search": None})
    assert plan(config, tmp_path) == plan(without, tmp_path)
