"""What `prepare` counts for its metrics."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from synthdata.formats.records import Problem
from synthdata.samples import DetectionDataset


def by_code(problems: Iterable[Problem]) -> dict[str, int]:
    """Return the number of problems of each kind."""
    return dict(Counter(problem.code for problem in problems))


def objects_by_class(dataset: DetectionDataset) -> dict[str, int]:
    """Return the number of objects of each class, by its name."""
    num_classes = len(dataset.class_names)
    counts = [sample.annotations.counts(num_classes) for sample in dataset]
    totals = np.array(counts, np.int64).reshape(-1, num_classes).sum(axis=0)
    return dict(zip(dataset.class_names, totals.tolist(), strict=True))
