"""Which images an arm is trained on, and how often each occurs in its training list.

All lists have the same length, so that every arm gets the same number of optimizer steps;
repeats fill them. In `real` each photograph simply occurs more often, which makes it the
duplicated-real control too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthdata.config.version import ArmName, VersionConfig
from synthdata.errors import VersioningError
from synthdata.samples import DetectionDataset, IntArray, Sample
from synthdata.seeding import derive_seed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArmImage:
    """An image of an arm: its row, its file, and whether it comes on top of the real ones."""

    sample: Sample
    file: Path
    is_extra: bool


@dataclass(frozen=True)
class Arm:
    """An arm's training data.

    Attributes:
        name: The arm.
        images: Those that the list holds, real ones first.
        order: `(list_length,)` positions in `images`, in training order, with repeats.
        num_left_out: Images that the list was too short for.
    """

    name: ArmName
    images: tuple[ArmImage, ...]
    order: IntArray
    num_left_out: int


def build_arm(
    name: ArmName,
    section: VersionConfig,
    *,
    prepared: DetectionDataset,
    pools: Mapping[str, DetectionDataset],
) -> Arm:
    """Return an arm's images and training list.

    Args:
        name: The arm; `real` takes the train split, `oracle` the reserve too, the others
            the train split and their pool.
        section: List length, share of the extra images, seed.
        prepared: The real data.
        pools: Extra images of each arm that has any.

    Raises:
        VersioningError: If the arm has no images for a part of its list.
    """
    real = prepared.split("train", "reserve") if name == "oracle" else prepared.split("train")
    extra = pools.get(name)
    fraction = 0.0 if extra is None else section.extra_fraction
    images = [ArmImage(sample, real.image_path(sample), is_extra=False) for sample in real]
    if extra is not None:
        images += [ArmImage(sample, extra.image_path(sample), is_extra=True) for sample in extra]
    try:
        order = arm_list(
            num_real=len(real),
            num_extra=len(images) - len(real),
            list_length=section.list_length,
            extra_fraction=fraction,
            seed=derive_seed(section.seed, "version", name),
        )
    except VersioningError as error:
        raise VersioningError(f"arm {name!r}: {error}") from None
    used, positions = np.unique(order, return_inverse=True)
    num_left_out = len(images) - len(used)
    if num_left_out:
        logger.warning(
            "arm %r: %d of its %d images are left out, since they have %d places in the list; "
            "raise version.list_length to train on all of them",
            name, num_left_out, len(images), section.list_length,
        )  # fmt: skip
    return Arm(name, tuple(images[i] for i in used), positions.astype(np.int64), num_left_out)


def arm_list(
    *, num_real: int, num_extra: int, list_length: int, extra_fraction: float, seed: int
) -> IntArray:
    """Return which image stands at each place of a training list.

    Args:
        num_real: Images 0 to `num_real - 1`; they fill what the extra ones leave.
        num_extra: Images `num_real` to `num_real + num_extra - 1`.
        list_length: Places. Where a group has more images than places, a random part of it
            is in the list once.
        extra_fraction: Share of the places for the extra images, in [0, 1].
        seed: Of the remainders and of the order.

    Returns:
        `(list_length,)` positions, shuffled; within real and within extra, no image occurs
        more than once more often than another.

    Raises:
        VersioningError: If a group has places but no images.
    """
    rng = np.random.default_rng(seed)
    extra_places = round(list_length * extra_fraction)
    real = _repeat_evenly(num_real, list_length - extra_places, rng, "real")
    extra = num_real + _repeat_evenly(num_extra, extra_places, rng, "extra")
    return rng.permutation(np.concatenate([real, extra]))


def _repeat_evenly(num: int, places: int, rng: np.random.Generator, group: str) -> IntArray:
    if places and not num:
        raise VersioningError(
            f"its list has {places} places for {group} images and there are none; if the filters "
            "keep none, filter/decisions.parquet says why: lower their min_score, or drop the arm"
        )
    if not num:
        return np.zeros(0, np.int64)
    every_one, rest = divmod(places, num)
    return np.concatenate([np.tile(np.arange(num), every_one), rng.permutation(num)[:rest]])
