"""Which images are taken, in an order of preference, on request with as many objects a class."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from synthdata.samples import IntArray

_ANY: Final = -1


def take(preferred: Sequence[int], num: int, *, objects: IntArray | None = None) -> list[int]:
    """Return `num` images, or all where there are fewer.

    Args:
        preferred: Images, the best first.
        num: How many.
        objects: `(N, K)` objects of each image by class; every next image is then the best one
            with an object of the class that has fewest so far. None takes the best.
    """
    if objects is None:
        return list(preferred[:num])
    queues = [
        deque(i for i in preferred if objects[i, class_id]) for class_id in range(objects.shape[1])
    ]
    queues.append(deque(preferred))
    taken: dict[int, None] = {}
    totals = np.zeros(objects.shape[1], np.int64)
    while len(taken) < min(num, len(preferred)):
        # The last queue has all images: for when no image is left that has an object.
        for class_id in [*np.argsort(totals, kind="stable"), _ANY]:
            queue = queues[class_id]
            while queue and queue[0] in taken:
                queue.popleft()
            if queue:
                break
        index = queue.popleft()
        taken[index] = None
        totals += objects[index]
    return list(taken)
