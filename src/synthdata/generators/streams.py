"""Shards made side by side, each by a generator of its own with one CPU thread.

Two batches on a core each take less time than one after the other on both cores, and an image
doesn't depend on how many cores there are.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import torch

from synthdata.config.generator import PipelineConfig
from synthdata.training.card import read_card
from synthdata.training.hardware import resolve_device

Worker = TypeVar("Worker")
Item = TypeVar("Item")
Result = TypeVar("Result")


def count_streams(config: PipelineConfig, model_dir: Path) -> int | None:
    """Return how many generators can share this machine, or None if one takes all of it.

    Embedded models on a CPU are small enough. Pretrained ones are not, and a GPU runs one batch
    at a time.
    """
    if resolve_device(config.device) != "cpu":
        return None
    return torch.get_num_threads() if read_card(model_dir).kind == "embedded" else None


def map_streams(
    work: Callable[[Worker, Item], Result], workers: Sequence[Worker], items: Sequence[Item]
) -> Iterator[Result]:
    """Yield what `work` makes of each item, in order; each worker does one at a time."""
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(item: Item) -> Result:
        worker = idle.get()
        try:
            return work(worker, item)
        finally:
            idle.put(worker)

    threads = torch.get_num_threads()
    executor = ThreadPoolExecutor(len(workers), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from executor.map(run, items)
    finally:
        executor.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
