"""The processes that train one model together, one a device (`torchrun`)."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from synthdata.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """This process and the others.

    Attributes:
        index: Of this one.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files that all share."""
        return self.index == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.count

    def gather(self, values: Sequence[float]) -> list[float]:
        """Return the values of all processes."""
        if self.count == 1:
            return list(values)
        gathered: list[list[float]] = [[] for _ in range(self.count)]
        dist.all_gather_object(gathered, list(values))
        return [value for part in gathered for value in part]

    def check_equal(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Check that all processes hold the same weights.

        Raises:
            TrainingError: If they don't, which a fault of a device or the network causes.
        """
        total = sum(parameter.detach().double().sum().item() for parameter in parameters)
        if len(set(self.gather([total]))) > 1:
            raise TrainingError(
                "the processes ended with different weights; run fit again, and with "
                "num_processes 1 if it happens again"
            )


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, for a while.

    Args:
        device: `cuda` makes this process's own GPU the current one.
    """
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
