"""One line on stderr: how much of a search is done, and the time that it has left."""

from types import TracebackType
from typing import Self

from tqdm import tqdm


class Progress:
    """A bar over the epochs of all trainings; nothing where stderr is no terminal.

    The time left is that of trainings: what other stages take counts neither as done nor as left.

    Args:
        total: Epochs of all trainings of the search.
    """

    def __init__(self, total: int) -> None:
        self._bar = tqdm(
            total=total,
            desc="search",
            disable=None,
            smoothing=0,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def begin(self, what: str) -> None:
        """Say that trainings begin; the clock stood still since the last ones."""
        if not self._bar.disable:  # a disabled bar has no clock
            self._bar.unpause()
            self._bar.set_postfix_str(what)

    def trained(self, epochs: int) -> None:
        """Count a training that ends now."""
        self._bar.update(epochs)

    def found(self, epochs: int) -> None:
        """Count trainings that were there, and say nothing of how long one takes."""
        if not self._bar.disable:
            self._bar.initial += epochs
            self._bar.update(epochs)
