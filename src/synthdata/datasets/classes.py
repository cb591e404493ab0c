"""Brings a data set's classes in line with a run's: by name, since every data set counts anew."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synthdata.datasets.counts import objects_by_class
from synthdata.errors import DatasetError
from synthdata.samples import DetectionDataset, IntArray, Sample


def with_classes(
    dataset: DetectionDataset, class_names: tuple[str, ...], ignored: Sequence[str]
) -> tuple[DetectionDataset, dict[str, int]]:
    """Return a data set with the class ids of a run, whose classes have the same names.

    Args:
        dataset: Of any classes.
        class_names: The run's.
        ignored: Classes of the data set whose objects are left out.

    Returns:
        The data set, and the number of objects left out by class.

    Raises:
        DatasetError: If an object's class is neither the run's nor ignored, or what is
            ignored is the run's or not there.
    """
    counts = objects_by_class(dataset)
    _check_ignored(ignored, known=class_names, there=dataset.class_names)
    unknown = {n: c for n, c in counts.items() if c and n not in (*class_names, *ignored)}
    if unknown:
        found = ", ".join(f"{name} ({number} objects)" for name, number in unknown.items())
        raise DatasetError(
            f"expected objects of the run's classes {', '.join(class_names)}, got also {found}; "
            "rename these classes in the data set, or leave their objects out by naming them in "
            "ignore_classes"
        )
    new_ids = np.array(
        [class_names.index(n) if n in class_names else -1 for n in dataset.class_names], np.int64
    )
    samples = tuple(_renumbered(sample, new_ids) for sample in dataset)
    mapped = replace(dataset, class_names=class_names, samples=samples)
    if not sum(len(sample.annotations) for sample in mapped):
        raise DatasetError(
            f"expected objects of the run's classes {', '.join(class_names)}, {dataset.root} has "
            "none, so it shows a detector nothing to find"
        )
    return mapped, {name: counts[name] for name in ignored}


def _check_ignored(ignored: Sequence[str], *, known: Sequence[str], there: Sequence[str]) -> None:
    wrong = [name for name in ignored if name in known]
    if wrong:
        raise DatasetError(
            f"ignore_classes names {', '.join(wrong)}, which detectors of this run look for; "
            "remove it there"
        )
    wrong = [name for name in ignored if name not in there]
    if wrong:
        raise DatasetError(
            f"ignore_classes names {', '.join(wrong)}, the data set has {', '.join(there)}"
        )


def _renumbered(sample: Sample, new_ids: IntArray) -> Sample:
    class_id = new_ids[sample.annotations.class_id]
    annotations = replace(sample.annotations, class_id=class_id).select(class_id >= 0)
    return replace(sample, annotations=annotations)
