import logging
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from version_pools import Pools, recipes

from synthdata.config.arms import ArmConfig
from synthdata.config.version import VersionConfig
from synthdata.errors import VersioningError
from synthdata.versioning.arms import Arm, build_arm, list_length


def section(list_length: int | str = 16, **arms: Any) -> VersionConfig:
    made = {name: ArmConfig.model_validate(arm) for name, arm in arms.items()}
    return VersionConfig.model_validate(
        {"list_length": list_length, "arms": made or recipes(), "batch_size": 8}
    )


def build(pools: Pools, recipe: dict[str, Any], length: int = 16) -> Arm:
    return build_arm("arm", section(arm=recipe), pools.ingredients, length=length)


def places(arm: Arm, phase: int = 0) -> Counter[str]:
    """Return the places of a list by the part that fills them."""
    return Counter(arm.images[i].part for i in arm.lists[phase].order)


def test_a_list_has_exactly_the_shares_of_its_recipe(pools: Pools) -> None:
    extra = {"copy_paste": 0.25, "synthetic": {"share": 0.5, "keep": "filtered"}}
    arm = build(pools, {"extra": extra})
    assert places(arm) == {"real": 4, "copy_paste": 4, "synthetic": 8}
    kept = {sample.sample_id for sample in pools.filtered}
    assert {i.sample.sample_id for i in arm.images if i.part == "synthetic"} == kept


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.45, 0.55, 0.0)])
def test_a_list_without_real_images_is_as_long(pools: Pools, shares: tuple[float, ...]) -> None:
    first, second, third = shares
    phases = [{"steps": 0.5, "extra": {"copy_paste": first, "synthetic": second + third}},
              {"steps": 0.5}]  # fmt: skip
    for length in (16, 17, 18, 19):
        arm = build(pools, {"phases": phases}, length=length)
        assert [len(one.order) for one in arm.lists] == [length, length]
        assert set(places(arm)) == {"copy_paste", "synthetic"}
        assert "real" not in arm.left_out


def test_even_sampling_repeats_no_image_more_than_once_more_than_another(pools: Pools) -> None:
    arm = build(pools, {"extra": {"copy_paste": 0.5}}, length=35)
    repeats = np.bincount(arm.lists[0].order)
    by_part = {
        part: [int(n) for n, image in zip(repeats, arm.images, strict=True) if image.part == part]
        for part in ("real", "copy_paste")
    }
    assert sorted(by_part["real"]) == [4, 4, 4, 5]
    assert sorted(by_part["copy_paste"]) == [3, 3, 4, 4, 4]


def test_a_list_depends_on_the_seed_only(pools: Pools) -> None:
    def order(seed: int) -> list[str]:
        values = section(arm={"extra": {"synthetic": 0.25}}).model_copy(update={"seed": seed})
        arm = build_arm("arm", values, pools.ingredients, length=16)
        return [arm.images[i].sample.sample_id for i in arm.lists[0].order]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert set(order(1)) != set(order(2)), "which 4 of the 6 are in the list"


def test_places_without_images_are_refused(pools: Pools) -> None:
    ingredients = pools.ingredients
    empty = replace(pools.filtered, samples=())
    nothing = replace(ingredients, extras={**ingredients.extras, ("synthetic", None): empty})
    with pytest.raises(VersioningError, match="arm 'arm': its list has 8 places for synthetic"):
        build_arm("arm", section(arm={"extra": {"synthetic": 0.5}}), nothing, length=16)


def test_a_ceiling_takes_the_reserve_and_others_do_not(pools: Pools) -> None:
    for recipe, splits in (({}, {"train"}), ({"real": ["train", "reserve"]}, {"train", "reserve"})):
        arm = build(pools, recipe)
        assert {image.sample.split for image in arm.images} == splits
        assert len(arm.lists[0].order) == 16


def test_a_short_list_leaves_extra_images_out_and_says_so(
    pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        arm = build(pools, {"extra": {"synthetic": 0.5}}, length=8)
    assert arm.left_out == {"synthetic": 2}
    assert len(arm.images) == 8
    assert "2 images of synthetic have no place" in caplog.text


def test_a_length_that_leaves_out_real_images_is_refused(pools: Pools) -> None:
    half = {"extra": {"synthetic": 0.75}}
    with pytest.raises(VersioningError, match=r"'half' has 2 places for 4 real .* at least 16"):
        list_length(section(8, real={}, half=half), pools.ingredients)
    assert list_length(section(16, real={}, half=half), pools.ingredients) == 16


def test_auto_has_room_for_every_image(pools: Pools) -> None:
    few = section("auto", real={}, mix={"extra": {"synthetic": 0.5, "copy_paste": 0.25}})
    assert list_length(few, pools.ingredients) == 24, "5 pasted images need 20 places"
    many = section("auto", real={}, most={"extra": {"synthetic": 0.9}})
    assert list_length(many, pools.ingredients) == 40, "4 real images need 40 places"


def test_a_length_covers_real_images_in_one_of_the_phases(pools: Pools) -> None:
    phases = [{"steps": 0.5, "extra": {"synthetic": 1.0}}, {"steps": 0.5}]
    assert list_length(section(8, real={}, two={"phases": phases}), pools.ingredients) == 8


def test_phases_have_lists_of_their_own_and_replay_the_one_before(pools: Pools) -> None:
    phases = [
        {"steps": 0.6, "extra": {"synthetic": 0.5}},
        {"steps": 0.4, "learning_rate": 0.1, "extra": {"copy_paste": 0.5}, "replay": 0.25},
    ]
    arm = build(pools, {"phases": phases})
    assert [one.steps for one in arm.lists] == [0.6, 0.4]
    assert [one.learning_rate for one in arm.lists] == [1.0, 0.1]
    assert places(arm) == {"real": 8, "synthetic": 8}
    second = places(arm, phase=1)
    assert second["copy_paste"] == 6, "half of the twelve places that replay leaves"
    assert sum(second.values()) == 16
    replayed = Counter(arm.lists[1].order.tolist())
    before = Counter(arm.lists[0].order.tolist())
    synthetic = {i for i, image in enumerate(arm.images) if image.part == "synthetic"}
    assert all(replayed[i] <= before[i] for i in synthetic)
