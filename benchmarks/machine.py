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
    """Return the FLOP/s of a square matrix product, by number format.

    A format that the machine has no units for takes minutes at that size; an eighth of it tells
    its rate as well.
    """
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        took = _matmul_seconds(size // 8, dtype, repeats)
        rate = 2 * (size // 8) ** 3 / took
        if took * 8**3 < 1:
            rate = 2 * size**3 / _matmul_seconds(size, dtype, repeats)
        rates[str(dtype).removeprefix("torch.")] = rate
    return rates


def _matmul_seconds(size: int, dtype: torch.dtype, repeats: int) -> float:
    left, right = (torch.randn(size, size, dtype=dtype) for _ in range(2))
    return seconds(lambda: left @ right, repeats=repeats)
