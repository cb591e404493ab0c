"""Which real images are train, val and test, and the few-shot draw from train."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from synthdata.errors import DatasetError
from synthdata.samples import DetectionDataset, IntArray, Split
from synthdata.seeding import derive_seed


def carve_splits(
    dataset: DetectionDataset,
    *,
    fractions: dict[Split, float],
    keys: Sequence[str],
    seed: int,
) -> DetectionDataset:
    """Return the data set with splits that it lacks taken from its train split.

    Official splits are kept as they are. Which image goes where depends on its key and the
    seed, not on its place or its name.

    Args:
        dataset: Its train split holds at least one image more than splits are asked for.
        fractions: Share of the train images that each missing split takes, in (0, 1); at
            least one image each.
        keys: One a sample; samples with the same key stay together. The digest of an image,
            or of its group of look-alikes, so that no image is in two splits.
        seed: Which division.

    Raises:
        DatasetError: If train is too small.
    """
    missing = [name for name in fractions if not dataset.split(name).samples]
    train_keys = {k for s, k in zip(dataset, keys, strict=True) if s.split == "train"}
    order = sorted(train_keys, key=lambda key: derive_seed(seed, "split", key))
    split_of: dict[str, Split] = {}
    for name in missing:
        number = max(1, round(fractions[name] * len(order)))
        taken = [key for key in order if key not in split_of][:number]
        split_of |= dict.fromkeys(taken, name)
    if len(split_of) >= len(order):
        raise DatasetError(
            f"expected more than {len(missing)} different train images to take "
            f"{' and '.join(missing)} from, got {len(order)}; add images or official splits"
        )
    samples = tuple(
        replace(sample, split=split_of.get(key, "train")) if sample.split == "train" else sample
        for sample, key in zip(dataset, keys, strict=True)
    )
    return replace(dataset, samples=samples)


def keep_first(dataset: DetectionDataset, *, split: Split, number: int | None) -> DetectionDataset:
    """Return the data set with at most `number` images of a split, the same ones each time.

    Which are kept depends on their ids only, so that all repetitions are scored on the same
    images. None keeps all.
    """
    ids = [sample.sample_id for sample in dataset.split(split)]
    kept = set(sorted(ids, key=lambda sample_id: derive_seed(0, split, sample_id))[:number])
    samples = tuple(s for s in dataset if s.split != split or s.sample_id in kept)
    return replace(dataset, samples=samples)


def draw_few_shot(
    dataset: DetectionDataset,
    *,
    num_images: int | None,
    min_instances: int,
    seed: int,
    num_reserve: int | None = None,
) -> DetectionDataset:
    """Return the data set with a few of its train images in train and others in reserve.

    The draw is at random, but for images that a class needs to have `min_instances` objects,
    which are drawn first, rarest class first.

    Args:
        dataset: With a train split.
        num_images: Size of the draw; None takes all.
        min_instances: Each class has at least that many objects in the draw.
        seed: Which draw.
        num_reserve: How many of the rest become reserve, the others are left out; None
            keeps all.

    Raises:
        DatasetError: If that draw is impossible; the message says what is possible.
    """
    train = dataset.split("train")
    num_images = len(train) if num_images is None else num_images
    if num_images > len(train):
        raise DatasetError(
            f"expected at least train_images = {num_images} train images, the data set has "
            f"{len(train)}; lower prepare.train_images"
        )
    num_classes = len(dataset.class_names)
    counts = np.array([s.annotations.counts(num_classes) for s in train]).reshape(-1, num_classes)
    _require_enough(counts.sum(axis=0), min_instances, dataset.class_names)
    order = np.random.default_rng(derive_seed(seed, "few-shot draw")).permutation(len(train))
    needed = _cover(counts, order, min_instances)
    if len(needed) > num_images:
        needed = _cover_greedily(counts, order, min_instances)
    if len(needed) > num_images:
        raise DatasetError(
            f"a draw of {num_images} train images can't hold {min_instances} objects of each "
            f"class, {len(needed)} images can; raise prepare.train_images or lower "
            "prepare.min_instances"
        )
    ranked = [*needed, *(int(i) for i in order if i not in set(needed))]
    end = None if num_reserve is None else num_images + num_reserve
    names: dict[str, Split] = {train.samples[i].sample_id: "reserve" for i in ranked[:end]}
    names |= {train.samples[i].sample_id: "train" for i in ranked[:num_images]}
    samples = tuple(
        replace(s, split=names[s.sample_id]) if s.split == "train" else s
        for s in dataset
        if s.split != "train" or s.sample_id in names
    )
    return replace(dataset, samples=samples)


def _require_enough(totals: IntArray, min_instances: int, class_names: Sequence[str]) -> None:
    short = {n: int(t) for n, t in zip(class_names, totals, strict=True) if t < min_instances}
    if short:
        raise DatasetError(
            f"expected at least min_instances = {min_instances} objects of each class in train, "
            f"got {', '.join(f'{name}: {total}' for name, total in short.items())}; lower "
            f"prepare.min_instances to {min(short.values())}, or label more"
        )


def _cover(counts: IntArray, order: npt.NDArray[np.int64], min_instances: int) -> list[int]:
    """Return the first images, in `order`, that give each class enough; rarest class first."""
    chosen: list[int] = []
    for class_id in np.argsort(counts.sum(axis=0), kind="stable"):
        for index in map(int, order):
            if counts[chosen, class_id].sum() >= min_instances:
                break
            if counts[index, class_id] and index not in chosen:
                chosen.append(index)
    return chosen


def _cover_greedily(
    counts: IntArray, order: npt.NDArray[np.int64], min_instances: int
) -> list[int]:
    """Return few images that give each class enough: each time the one that brings most."""
    chosen: list[int] = []
    while (missing := np.clip(min_instances - counts[chosen].sum(axis=0), 0, None)).any():
        gain = np.minimum(counts, missing).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(order[np.argmax(gain[order])]))
    return chosen
