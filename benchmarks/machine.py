"""What a machine can do: median times and the rate of its matrix products."""

import time
from collections.abc import Callable

import numpy as np
import torch


def seconds(work: Callable[[], object], *, repeats: int) -> float:
    """Return the median time of a call, the first one left out."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def matmul_rates(size: int = 2048, repeats: int = 8) -> dict[str, float]:
    """Return the FLOP/s of a square matrix product, by number format."""
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (torch.randn(size, size, dtype=dtype) for _ in range(2))
        # Bound as arguments: the loop's next pass would change them.
        took = seconds(lambda a=left, b=right: a @ b, repeats=repeats)
        rates[str(dtype).removeprefix("torch.")] = 2 * size**3 / took
    return rates
