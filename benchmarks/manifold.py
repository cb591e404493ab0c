"""Precision, recall, density and coverage: synthdata's time and memory against prdc's.

    python benchmarks/manifold.py --num 20000 --dim 1280

Both get the same random features. The products alone are the matrix products that synthdata
computes, block by block, and nothing else; prdc computes its own in float64. Each has a process of
its own, whose extra memory is how much its largest resident size grows from when it has the
features.
"""

import argparse
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from prdc import compute_prdc
from threadpoolctl import threadpool_info

from synthdata.boxes import FloatArray
from synthdata.metrics import manifold_scores
from synthdata.metrics.pair_distances import block_points, slices

Run = Callable[[FloatArray, FloatArray, int], dict[str, float]]


def run_ours(real: FloatArray, generated: FloatArray, num_neighbors: int) -> dict[str, float]:
    """Return synthdata's scores."""
    scores = manifold_scores(
        features_real=real, features_generated=generated, num_neighbors=num_neighbors
    )
    return vars(scores)


def run_prdc(real: FloatArray, generated: FloatArray, num_neighbors: int) -> dict[str, float]:
    """Return prdc's scores."""
    with contextlib.redirect_stdout(sys.stderr):  # it prints
        scores = compute_prdc(real, generated, num_neighbors)
    return {name: float(value) for name, value in scores.items()}


def run_products(real: FloatArray, generated: FloatArray, _: int) -> dict[str, float]:
    """Multiply all pairs of blocks between the sets, and within a set each pair once."""
    blocks = list(slices(0, len(real), block_points(real.shape[1])))
    for points in (real, generated):
        for num_done, rows in enumerate(blocks):
            for columns in blocks[num_done:]:
                points[rows] @ points[columns].T
    for rows in blocks:
        for columns in blocks:
            generated[rows] @ real[columns].T
    return {}


def measure(run: Run, num: int, dim: int, num_neighbors: int) -> dict[str, Any]:
    """Return time, extra memory and scores of one run."""
    rng = np.random.default_rng(0)
    real, generated = (rng.standard_normal((num, dim), dtype=np.float32) for _ in range(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    scores = run(real, generated, num_neighbors)
    took = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": took, "extra_mib": grown / 1024, "scores": scores}


def main() -> None:
    """Print seconds, extra memory and scores of each, and how ours compares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--num", type=int, default=20_000, help="points of each of the two sets")
    parser.add_argument("--dim", type=int, default=1_280)
    parser.add_argument("--num-neighbors", type=int, default=5)
    parser.add_argument("--skip-prdc", action="store_true", help="whose memory grows with num^2")
    arguments = parser.parse_args()

    result: dict[str, Any] = {}
    for name, run in (("ours", run_ours), ("products", run_products), ("prdc", run_prdc)):
        if name == "prdc" and arguments.skip_prdc:
            continue
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            result[name] = pool.submit(
                measure, run, arguments.num, arguments.dim, arguments.num_neighbors
            ).result()
    ours = result["ours"]
    result["ours_over_products"] = ours["seconds"] / result["products"]["seconds"]
    if not arguments.skip_prdc:
        result["prdc_over_ours"] = result["prdc"]["seconds"] / ours["seconds"]
        result["largest_difference"] = max(
            abs(value - result["prdc"]["scores"][name]) for name, value in ours["scores"].items()
        )
    result["cores"] = os.cpu_count()
    result["blas_threads"] = max(one["num_threads"] for one in threadpool_info())
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
