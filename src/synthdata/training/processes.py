"""The processes that train one model together, one a device (`torchrun`)."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from synthdata.errors import TrainingError

_TAIL_LINES = 30

logger = logging.getLogger(__name__)


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


def run_processes(module: str, job: Path, *, count: int) -> None:
    """Run `python -m module job` in `count` processes of this machine, by `torchrun`.

    They end with this process, even when it is killed: see `synthdata.lifeline`.

    Args:
        module: Calls `end_with_parent` and `joined`.
        job: Its only argument; the log appears beside it.
        count: How many.

    Raises:
        TrainingError: If one of them fails.
    """
    log = job.with_suffix(".log")
    logger.info("training in %d processes, which write to %s", count, log)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        f"--nproc-per-node={count}", "-m", module, str(job.absolute()),
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        status = process.wait()
    finally:
        # Closing our end of the pipe ends the workers, and torchrun with them.
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
        raise TrainingError(f"{module} failed with status {status}; the end of {log}:\n{tail}")
