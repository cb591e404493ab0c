"""The model that stage `fit` left, ready to sample: on its device, in its number format."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from synthdata.config.generator import PipelineConfig
from synthdata.errors import GenerationError
from synthdata.generators.pipelines import load_generator
from synthdata.samples import UInt8Array
from synthdata.seeding import derive_seed
from synthdata.training.card import GeneratorCard, read_card
from synthdata.training.families import Family
from synthdata.training.grain import Grain, add_grain
from synthdata.training.hardware import Hardware, choose_hardware, with_formats

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

# Images at once of an embedded model in a half precision: see `LayoutModel.in_batches`.
_EMBEDDED_BATCH: Final = 16


@dataclass(frozen=True)
class LayoutModel:
    """A text-to-image pipeline that shows layouts.

    Attributes:
        card: What `fit` says of it.
        pipeline: On its device.
        family: How to call it.
        hardware: Device and number format.
        batch_size: Images at once.
        grain: What the images get; None for none.
    """

    card: GeneratorCard
    pipeline: Any
    family: Family
    hardware: Hardware
    batch_size: int
    grain: Grain | None

    def finish(self, image: UInt8Array, *, seed: int) -> UInt8Array:
        """Return a decoded `(H, W, 3)` image with the model's grain, which the seed draws."""
        if self.grain is None:
            return image
        return add_grain(image, self.grain, seed=derive_seed(seed, "grain"))

    def in_batches(
        self,
        items: Sequence[Item],
        run: Callable[[list[Item]], Iterable[Result]],
        *,
        size_of: Callable[[Item], tuple[int, ...]],
    ) -> Iterator[Result]:
        """Yield what `run` makes of the items, in order; a batch's items are of one size.

        In a half precision a product's rounding depends on the shape of the batch, and 16
        denoising steps make that visible. All batches therefore have one shape there, which the
        kind of model decides and no setting; the last one is filled up with copies.
        """
        made: dict[int, Result] = {}
        order = sorted(range(len(items)), key=lambda i: size_of(items[i]))
        for _, group in groupby(order, key=lambda i: size_of(items[i])):
            same_size = list(group)
            results = self._in_equal_batches((items[i] for i in same_size), run)
            made.update(zip(same_size, results, strict=True))
        yield from (made[i] for i in range(len(items)))

    def _in_equal_batches(
        self, items: Iterator[Item], run: Callable[[list[Item]], Iterable[Result]]
    ) -> Iterator[Result]:
        half = self.hardware.dtype != torch.float32
        while batch := list(islice(items, self.batch_size)):
            missing = self.batch_size - len(batch) if half else 0
            yield from islice(run(batch + batch[-1:] * missing), len(batch))


def load_model(
    config: PipelineConfig, model_dir: Path, *, class_names: Sequence[str]
) -> LayoutModel:
    """Return the model in `model_dir`.

    Args:
        config: Sampler, device and number format.
        model_dir: The folder of stage `fit`.
        class_names: Of the data set, which must be those of the model.

    Raises:
        GenerationError: If the model can't be loaded, has other classes or no grain that is asked
            for, or the sampler doesn't suit it.
        ConfigError: If the device or the number format isn't to be had here.
    """
    card = read_card(model_dir)
    if card.class_names != tuple(class_names):
        raise GenerationError(
            f"the model in {model_dir} was fitted for classes {list(card.class_names)}, the data "
            f"set has {list(class_names)}; run fit again"
        )
    hardware = sampling_hardware(config)
    pipeline, family = load_generator(card, model_dir, hardware=hardware, sampler=config.scheduler)
    if config.grain and card.kind == "embedded" and card.grain is None:
        raise GenerationError(
            f"the model in {model_dir} was fitted before fit measured grain; delete that folder "
            "and run fit again, or set the generator's grain to false"
        )
    grain = card.grain if config.grain else None
    batch_size = config.batch_size
    if hardware.dtype != torch.float32:
        batch_size = _EMBEDDED_BATCH if card.kind == "embedded" else family.half_batch
    if batch_size != config.batch_size:
        logger.info(
            "%d images at once instead of batch_size %d, which would change them in %s",
            batch_size, config.batch_size, hardware.dtype,
        )  # fmt: skip
    return LayoutModel(card, pipeline, family, hardware, batch_size, grain)


def sampling_hardware(config: PipelineConfig) -> Hardware:
    """Return where and in which number format a config's images are sampled, and log it.

    Raises:
        ConfigError: If the device or the number format isn't to be had here.
    """
    return with_formats(
        choose_hardware(config.device), config.mixed_precision, channels_last=config.channels_last
    )
