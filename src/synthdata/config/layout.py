"""The `layout` section: where new images have their objects."""

from typing import Literal, Self

from pydantic import model_validator

from synthdata.config.base import Fraction, PositiveInt, StageSection


class LayoutConfig(StageSection):
    """Samples layouts for new images.

    Attributes:
        kind: `sampled` draws counts, sizes, aspect ratios and positions from a model of the
            train split; `recombined` joins halves of real layouts, flipped and jittered.
        num_layouts: How many.
        jitter: Standard deviation of the noise on a box's scale (of the logarithm; its aspect
            ratio stays) and, as a fraction of the box, the least noise of its position.
        max_overlap: No two objects overlap by more than this share of the smaller one's
            area, nor by more than real pairs of their classes show.
        balance: 0 shows each class as often as it occurs, 1 each class as often: as in pasting, a
            class weighs `count ** (1 - balance)`. No layout has more objects of a class than the
            train image with most of it. Where that stands in the way, layouts get smaller, at
            balance 1 by at most 40 % on average; beyond that the shares give way. For `sampled`.
        balances: Of the pools that are made; the plan sets them, a YAML never does.
    """

    kind: Literal["sampled", "recombined"] = "sampled"
    num_layouts: PositiveInt = 200
    jitter: Fraction = 0.07
    max_overlap: Fraction = 0.5
    balance: Fraction = 0.0
    balances: tuple[Fraction, ...] = ()

    @model_validator(mode="after")
    def _can_be_balanced(self) -> Self:
        if self.balance > 0 and self.kind != "sampled":
            raise ValueError(
                f"balance {self.balance} needs kind sampled: {self.kind} layouts have the "
                "objects of real ones; set kind to sampled or balance to 0"
            )
        return self

    def with_balance(self, balance: float) -> Self:
        """Return the section at another balance.

        Raises:
            ValueError: If the balance is out of range, or the kind of layouts has none.
        """
        return type(self).model_validate(self.model_dump() | {"balance": balance})
