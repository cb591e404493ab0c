"""Which images belong together: by what their files are called, and by what they look like."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from synthdata.datasets.duplicates import Fingerprint, similar_pairs
from synthdata.files import sha256_file
from synthdata.formats.records import Problem
from synthdata.samples import DetectionDataset, Split

_EVALUATION_SPLITS: tuple[Split, ...] = ("val", "test")


def with_groups(
    dataset: DetectionDataset, prints: Mapping[Path, Fingerprint], pattern: str | None
) -> DetectionDataset:
    """Return the data set with `Sample.group` set where images belong together.

    In every split, images whose names give the same text belong together. In val and test,
    where statistics need it, so do images that look alike, and what either of them joins.

    Args:
        dataset: Its paths are the original files'.
        prints: Fingerprint by path.
        pattern: A regular expression with one group, searched for in each stem; or None.

    Returns:
        Groups are called `name:<text>`, or `alike:<id>` where only looks join them, so that
        none is called as an image that stands outside it.
    """
    names = names_of_groups(dataset, pattern)
    labels = [f"name:{name}" if name else "" for name in names]
    for split in _EVALUATION_SPLITS:
        places = [place for place, sample in enumerate(dataset) if sample.split == split]
        samples = [dataset.samples[place] for place in places]
        alike = [pair[:2] for pair in similar_pairs([prints[s.path] for s in samples])]
        same = _pairs_of_equals([names[place] for place in places])
        for members in _components(len(places), [*alike, *same]):
            if len(members) > 1:
                named = sorted(labels[places[m]] for m in members if labels[places[m]])
                label = named[0] if named else f"alike:{min(samples[m].sample_id for m in members)}"
                for member in members:
                    labels[places[member]] = label
    samples_with = zip(dataset, labels, strict=True)
    return replace(dataset, samples=tuple(replace(s, group=label) for s, label in samples_with))


def names_of_groups(dataset: DetectionDataset, pattern: str | None) -> list[str]:
    """Return what each file's name says that it belongs to; empty where it says nothing."""
    if pattern is None:
        return [""] * len(dataset)
    found = [re.search(pattern, sample.path.stem) for sample in dataset]
    return [(match[1] or "") if match else "" for match in found]


def content_keys(
    dataset: DetectionDataset, prints: Mapping[Path, Fingerprint], pattern: str | None
) -> list[str]:
    """Return a key for each image, equal for images that must end up in one split.

    That are images that look alike and images that belong together by name. The key is the
    smallest digest of their files.
    """
    alike = [pair[:2] for pair in similar_pairs([prints[sample.path] for sample in dataset])]
    same = _pairs_of_equals(names_of_groups(dataset, pattern))
    digests = [sha256_file(dataset.image_path(sample)) for sample in dataset]
    keys = list(digests)
    for members in _components(len(dataset), [*alike, *same]):
        smallest = min(digests[member] for member in members)
        for member in members:
            keys[member] = smallest
    return keys


def torn_groups(dataset: DetectionDataset, pattern: str | None) -> list[Problem]:
    """Return a warning for each group, by name, that stands in train and in val or test."""
    splits: dict[str, dict[Split, Path]] = {}
    for sample, name in zip(dataset, names_of_groups(dataset, pattern), strict=True):
        if name:
            splits.setdefault(name, {}).setdefault(sample.split, sample.path)
    return [
        Problem(
            "warning",
            "group_across_splits",
            files[split].as_posix(),
            None,
            f"this image in {split} belongs to {name!r}, as {files['train'].as_posix()} in train "
            "does: detectors are scored on what they were trained on; put both into one split",
        )
        for name, files in splits.items()
        for split in _EVALUATION_SPLITS
        if "train" in files and split in files
    ]


def _pairs_of_equals(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs that join all places of the same name; empty names join nothing."""
    first: dict[str, int] = {}
    return [(first.setdefault(name, place), place) for place, name in enumerate(names) if name]


def _components(size: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the places from 0 to `size` that pairs join, directly or through others."""
    first, second = np.array(list(pairs), np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[int]] = {}
    for place, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(place)
    return list(members.values())
