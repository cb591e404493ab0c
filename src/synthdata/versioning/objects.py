"""Which objects were added, removed or changed between two versions of the same images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from synthdata.boxes import iou_matrix
from synthdata.samples import Annotations, IntArray

_SAME_OBJECT_IOU = 0.5
_SAME_PLACE_PX = 0.01  # formats round coordinates


@dataclass(frozen=True)
class ClassChanges:
    """The objects of one class.

    Attributes:
        class_name: The class.
        objects_a: In all of A.
        objects_b: In all of B.
        added: In images of both versions: objects of B that no object of A is matched to.
        removed: Likewise: objects of A without a match in B.
        changed: Likewise: objects of A whose match lies elsewhere or has another class.
    """

    class_name: str
    objects_a: int
    objects_b: int
    added: int
    removed: int
    changed: int


def class_changes(
    a: Mapping[str, Annotations], b: Mapping[str, Annotations], names: tuple[str, ...]
) -> tuple[ClassChanges, ...]:
    """Return the changes from `a` to `b`, an entry a class.

    Args:
        a: The objects of each image, by sample id.
        b: Likewise.
        names: Class names, which both index.
    """
    total_a, total_b, added, removed, changed = np.zeros((5, len(names)), np.int64)
    for annotations in a.values():
        total_a += annotations.counts(len(names))
    for annotations in b.values():
        total_b += annotations.counts(len(names))
    for sample_id in a.keys() & b.keys():
        old, new = a[sample_id], b[sample_id]
        in_old, in_new = match_objects(old, new).T
        matched_old, matched_new = old.select(in_old), new.select(in_new)
        moved = np.abs(matched_old.xyxy - matched_new.xyxy).max(axis=1, initial=0) > _SAME_PLACE_PX
        other = matched_old.class_id != matched_new.class_id
        removed += old.counts(len(names)) - matched_old.counts(len(names))
        added += new.counts(len(names)) - matched_new.counts(len(names))
        changed += matched_old.select(moved | other).counts(len(names))
    columns = (total_a, total_b, added, removed, changed)
    return tuple(
        ClassChanges(name, *(int(column[i]) for column in columns)) for i, name in enumerate(names)
    )


def match_objects(a: Annotations, b: Annotations) -> IntArray:
    """Return `(K, 2)` positions of objects in `a` and `b` that are the same object.

    Of two candidates that overlap equally, the one of the same class is taken.
    """
    iou = iou_matrix(a.xyxy, b.xyxy)
    same_class = a.class_id[:, None] == b.class_id[None, :]
    gain = np.where(iou >= _SAME_OBJECT_IOU, iou + 1e-3 * same_class, 0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return np.stack([rows, columns], axis=1)[gain[rows, columns] > 0]
