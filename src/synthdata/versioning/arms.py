"""Which images an arm is trained on, and how often each occurs in its training lists.

All lists have the same length, so that every arm gets the same number of optimizer steps;
repeats fill them.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import numpy as np

from synthdata.config.arms import ArmConfig, Mixture, Phase
from synthdata.config.pools import REAL
from synthdata.config.version import VersionConfig
from synthdata.errors import VersioningError
from synthdata.samples import DetectionDataset, IntArray, Sample
from synthdata.seeding import derive_seed
from synthdata.versioning.ingredients import Ingredients
from synthdata.versioning.lists import draw_places

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArmImage:
    """An image of an arm: its row, its file, and the part of the list that it belongs to."""

    sample: Sample
    file: Path
    part: str


@dataclass(frozen=True)
class TrainingList:
    """What one phase of a training sees.

    Attributes:
        order: `(list_length,)` positions in the arm's images, in training order, with repeats.
        steps: Share of the optimizer steps.
        learning_rate: Factor on the detector's rate.
    """

    order: IntArray
    steps: float = 1.0
    learning_rate: float = 1.0


@dataclass(frozen=True)
class Arm:
    """An arm's training data.

    Attributes:
        name: The arm.
        recipe: What it is made by.
        images: Those that the lists hold, real ones first.
        lists: One, or one per phase.
        left_out: Images per pool that the lists were too short for.
    """

    name: str
    recipe: ArmConfig
    images: tuple[ArmImage, ...]
    lists: tuple[TrainingList, ...]
    left_out: Mapping[str, int]


def list_length(section: VersionConfig, ingredients: Ingredients) -> int:
    """Return the length of every training list.

    Raises:
        VersioningError: If the section's own has no room for every real image of an arm.
    """
    length = section.list_length
    real = {name: _real_need(arm, ingredients) for name, arm in section.arms.items()}
    if length == "auto":
        extra = [need for arm in section.arms.values() for need in _extra_needs(arm, ingredients)]
        return _shortest([*real.values(), *extra], batch_size=section.batch_size)
    for name, need in real.items():
        if not need.has_room(length):
            least = _shortest([need], batch_size=section.batch_size)
            raise VersioningError(
                f"arm {name!r} has {_places(need.mixture, length)[REAL]} places for {need.images} "
                "real images, so that it would be trained on fewer than the other arms; expected "
                f"version.list_length to be at least {least}, or auto, got {length}"
            )
    return length


@dataclass(frozen=True)
class _Need:
    """A part of a list that is to have a place for each of its images."""

    mixture: Mixture
    part: str
    images: int

    def has_room(self, length: int) -> bool:
        """Return whether a list of that length has the places."""
        return _places(self.mixture, length)[self.part] >= self.images


def _real_need(arm: ArmConfig, ingredients: Ingredients) -> _Need:
    """Return the need of an arm's real images, in the list that has most places for them."""
    widest = max(arm.mixtures(), key=lambda mixture: mixture.real_share * _own_share(mixture))
    images = len(ingredients.prepared.split(*widest.real)) if widest.real_share else 0
    return _Need(widest, REAL, images)


def _extra_needs(arm: ArmConfig, ingredients: Ingredients) -> Iterator[_Need]:
    for mixture in arm.mixtures():
        for pool, part in mixture.extra.items():
            yield _Need(mixture, pool, len(ingredients.extras[pool, part.keep]))


def _shortest(needs: Sequence[_Need], *, batch_size: int) -> int:
    """Return the shortest list, a multiple of the batch, that has room for all."""
    lengths = count(batch_size, batch_size)
    return next(length for length in lengths if all(need.has_room(length) for need in needs))


def _own_share(mixture: Mixture) -> float:
    """Return the share of a list that isn't replayed from the one before."""
    return 1 - mixture.replay if isinstance(mixture, Phase) else 1.0


def _places(mixture: Mixture, length: int) -> dict[str, int]:
    """Return the places of each part of a list; they sum to those that aren't replayed."""
    own = round(length * _own_share(mixture))
    places = {pool: round(own * part.share) for pool, part in mixture.extra.items()}
    rest = own - sum(places.values())
    if mixture.real_share == 0 or rest < 0:  # what rounding left, or took too much
        places[max(places, key=lambda pool: places[pool])] += rest
        rest = 0
    return places | {REAL: rest}


def build_arm(name: str, section: VersionConfig, ingredients: Ingredients, *, length: int) -> Arm:
    """Return an arm's images and training lists.

    Args:
        name: The arm, one of the section's.
        section: Its recipe, and the seed.
        ingredients: What it takes images from.
        length: Of each list.

    Raises:
        VersioningError: If the arm has no images for a part of a list.
    """
    recipe = section.arms[name]
    candidates: dict[tuple[str, str], ArmImage] = {}
    for part, dataset in chain.from_iterable(_parts(one, ingredients) for one in recipe.mixtures()):
        for sample in dataset:
            image = ArmImage(sample, dataset.image_path(sample), part)
            candidates.setdefault((part, sample.sample_id), image)
    place = {key: position for position, key in enumerate(candidates)}
    rng = np.random.default_rng(derive_seed(section.seed, "version", name))
    orders: list[IntArray] = []
    for mixture in recipe.mixtures():
        before = orders[-1] if orders else np.zeros(0, np.int64)
        places = _places(mixture, length)
        replayed = rng.permutation(before)[: length - sum(places.values())]
        drawn = _draw(mixture, ingredients, places, place, rng, arm=name)
        orders.append(rng.permutation(np.concatenate([*drawn, replayed])))
    used, positions = np.unique(np.concatenate(orders), return_inverse=True)
    images = list(candidates.values())
    lists = [
        TrainingList(
            order.astype(np.int64),
            steps=mixture.steps if isinstance(mixture, Phase) else 1.0,
            learning_rate=mixture.learning_rate if isinstance(mixture, Phase) else 1.0,
        )
        for mixture, order in zip(recipe.mixtures(), np.split(positions, len(orders)), strict=True)
    ]
    arm = Arm(
        name=name,
        recipe=recipe,
        images=tuple(images[i] for i in used),
        lists=tuple(lists),
        left_out=_left_out(images, set(used.tolist())),
    )
    for part, number in arm.left_out.items():
        logger.warning(
            "arm %r: %d images of %s have no place in its list; raise version.list_length, or set "
            "it to auto, to train on all of them", name, number, part,
        )  # fmt: skip
    return arm


def _parts(mixture: Mixture, ingredients: Ingredients) -> Iterator[tuple[str, DetectionDataset]]:
    """Yield the parts of a list, real images first, with the images that each may take."""
    if mixture.real_share > 0:
        yield REAL, ingredients.prepared.split(*mixture.real)
    for pool, part in mixture.extra.items():
        yield pool, ingredients.extras[pool, part.keep]


def _draw(
    mixture: Mixture,
    ingredients: Ingredients,
    places: Mapping[str, int],
    place: Mapping[tuple[str, str], int],
    rng: np.random.Generator,
    *,
    arm: str,
) -> Iterator[IntArray]:
    """Yield the positions of each part's images, with repeats."""
    sampling = {pool: part.sampling for pool, part in mixture.extra.items()}
    sampling[REAL] = mixture.sampling
    for part, dataset in _parts(mixture, ingredients):
        if places[part] and not len(dataset):
            raise VersioningError(
                f"arm {arm!r}: its list has {places[part]} places for {part} images and there are "
                "none; if the filters keep none, decisions.parquet in the filter stage's folder "
                "says why: lower their min_score, or drop the arm"
            )
        drawn = draw_places(
            dataset.samples,
            places=places[part],
            sampling=sampling[part],
            num_classes=len(dataset.class_names),
            rng=rng,
        )
        keys = np.array([place[part, sample.sample_id] for sample in dataset], np.int64)
        yield keys[drawn]


def _left_out(images: list[ArmImage], used: set[int]) -> dict[str, int]:
    unused = Counter(image.part for i, image in enumerate(images) if i not in used)
    return dict(sorted(unused.items()))
