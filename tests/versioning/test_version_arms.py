import logging

import numpy as np
import pytest
from version_pools import Pools

from synthdata.config.version import VersionConfig
from synthdata.errors import VersioningError
from synthdata.versioning.arms import arm_list, build_arm


@pytest.mark.parametrize(
    ("num_real", "num_extra", "list_length", "extra_fraction"),
    [(24, 50, 352, 0.5), (24, 200, 352, 0.5), (7, 3, 64, 0.3), (5, 9, 16, 1.0), (5, 9, 16, 0.0)],
)
def test_list_is_balanced_and_has_the_exact_length(
    num_real: int, num_extra: int, list_length: int, extra_fraction: float
) -> None:
    order = arm_list(
        num_real=num_real,
        num_extra=num_extra,
        list_length=list_length,
        extra_fraction=extra_fraction,
        seed=3,
    )
    counts = np.bincount(order, minlength=num_real + num_extra)
    assert len(counts) == num_real + num_extra
    assert len(order) == list_length
    assert counts[num_real:].sum() == round(list_length * extra_fraction)
    assert np.ptp(counts[:num_real]) <= 1
    assert np.ptp(counts[num_real:]) <= 1


def test_list_without_extra_images_is_real_only() -> None:
    order = arm_list(num_real=10, num_extra=0, list_length=35, extra_fraction=0, seed=0)
    assert sorted(np.bincount(order)) == [3] * 5 + [4] * 5


def test_list_depends_on_the_seed_only() -> None:
    def make(seed: int) -> list[int]:
        order = arm_list(num_real=24, num_extra=60, list_length=96, extra_fraction=0.5, seed=seed)
        return list(order)

    assert make(1) == make(1)
    assert make(1) != make(2)
    assert set(make(1)) != set(make(2))  # which 48 of the 60 are in the list
    assert make(1) != sorted(make(1))


def test_list_with_places_but_no_images_is_refused() -> None:
    with pytest.raises(VersioningError, match="8 places for extra images and there are none"):
        arm_list(num_real=4, num_extra=0, list_length=16, extra_fraction=0.5, seed=0)
    with pytest.raises(VersioningError, match="16 places for real images"):
        arm_list(num_real=0, num_extra=0, list_length=16, extra_fraction=0, seed=0)


def test_arm_without_extra_images_is_named(pools: Pools) -> None:
    empty = pools.generated.where(generator="nothing")
    with pytest.raises(VersioningError, match="arm 'synthetic': its list has 8 places for extra"):
        build_arm(
            "synthetic",
            VersionConfig(list_length=16),
            prepared=pools.prepared,
            pools={"synthetic": empty},
        )


def test_oracle_takes_the_reserve_and_real_does_not(pools: Pools) -> None:
    section = VersionConfig(list_length=16, arms=("real", "oracle"))
    for name, splits in (("real", {"train"}), ("oracle", {"train", "reserve"})):
        arm = build_arm(name, section, prepared=pools.prepared, pools={})  # type: ignore[arg-type]
        assert {image.sample.split for image in arm.images} == splits
        assert len(arm.order) == 16


def test_short_list_leaves_images_out_and_says_so(
    pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    pool = pools.generated.where(generator="synthetic")
    with caplog.at_level(logging.WARNING):
        arm = build_arm(
            "synthetic",
            VersionConfig(list_length=6),
            prepared=pools.prepared,
            pools={"synthetic": pool},
        )
    assert arm.num_left_out == 4  # 3 places for 4 real images, 3 for 6 extra ones
    assert len(arm.images) == 6
    assert sorted(arm.order) == list(range(6))
    assert "4 of its 10 images are left out" in caplog.text
