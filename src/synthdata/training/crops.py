"""The augmented crops that the image generator is trained on, made once, boxes included."""

import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# Read at import: without it albumentations asks a package index for a newer version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # noqa: N812  # the library's own name for itself
import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata.boxes import FloatArray, as_xyxy
from synthdata.config.fit import CropConfig
from synthdata.errors import ConfigError, DatasetError
from synthdata.samples import Annotations, DetectionDataset, Layout, Sample, UInt8Array
from synthdata.seeding import derive_seed

# A box cut by the crop's border below this share of its area isn't an object any more.
_MIN_VISIBILITY = 0.15
_MIN_AREA_PX = 4


@dataclass(frozen=True)
class Crops:
    """Images of one size and what they show.

    Attributes:
        images: `(N, H, W, 3)` uint8 RGB.
        layouts: N layouts of the same size.
    """

    images: UInt8Array
    layouts: tuple[Layout, ...]

    def __len__(self) -> int:
        return len(self.layouts)


def make_crops(dataset: DetectionDataset, config: CropConfig, *, seed: int) -> Crops:
    """Return `num_crops` augmented crops, spread evenly over the images or over the objects.

    Crop `i` depends on the seed, its image, its object and how often that image was used before.

    Args:
        dataset: The train split.
        config: Sizes and strengths.
        seed: The run's seed.

    Raises:
        DatasetError: If there is no image.
        ConfigError: If an image is smaller than the crop.
    """
    if not len(dataset):
        raise DatasetError("fit needs at least one train image, there is none")
    width, height = config.size or _smallest_size(dataset)
    turns: Counter[str] = Counter()
    images, layouts = [], []
    places = _places(dataset, config, seed=seed)
    for sample, box in tqdm(
        places, total=config.num_crops, desc="fit: crops", unit="crop", disable=None
    ):
        turn = turns[sample.sample_id]
        turns[sample.sample_id] += 1
        crop_seed = derive_seed(seed, "crop", sample.sample_id, turn)
        transform = _transform(config, sample, box, width=width, height=height, seed=crop_seed)
        with Image.open(dataset.image_path(sample)) as image:
            pixels = np.asarray(image.convert("RGB"))
        result = transform(
            image=pixels, bboxes=sample.annotations.xyxy, class_id=sample.annotations.class_id
        )
        annotations = Annotations(
            xyxy=as_xyxy(result["bboxes"]),
            class_id=np.asarray(result["class_id"], dtype=np.int64),
        )
        images.append(result["image"])
        layouts.append(Layout(f"{sample.sample_id}-{turn}", width, height, annotations))
    return Crops(images=np.stack(images), layouts=tuple(layouts))


def _places(
    dataset: DetectionDataset, config: CropConfig, *, seed: int
) -> Iterator[tuple[Sample, FloatArray | None]]:
    """Yield each crop's image, and the object to place it around, if any.

    Images take turns, and so do classes and, in a random order, the objects of each.
    """
    rng = np.random.default_rng(derive_seed(seed, "crop-objects"))
    objects: dict[int, list[tuple[Sample, FloatArray]]] = {}
    for sample in dataset:
        for box, class_id in zip(sample.annotations.xyxy, sample.annotations.class_id, strict=True):
            objects.setdefault(int(class_id), []).append((sample, box))
    by_class = [objects[class_id] for class_id in sorted(objects)]
    orders = [rng.permutation(len(group)) for group in by_class]
    around_image = around_object = 0
    for i in range(config.num_crops):
        if not by_class or math.floor((i + 1) * config.focus) == math.floor(i * config.focus):
            yield dataset.samples[around_image % len(dataset)], None
            around_image += 1
            continue
        turn, which = divmod(around_object, len(by_class))
        order = orders[which]
        yield by_class[which][order[turn % len(order)]]
        around_object += 1


def _smallest_size(dataset: DetectionDataset) -> tuple[int, int]:
    """Return the largest size, in multiples of 8, that fits into every image."""
    width = min(sample.width for sample in dataset) // 8 * 8
    height = min(sample.height for sample in dataset) // 8 * 8
    if not width or not height:
        raise DatasetError("fit needs images of at least 8 by 8 pixels, there is a smaller one")
    return width, height


def _transform(
    config: CropConfig,
    sample: Sample,
    box: FloatArray | None,
    *,
    width: int,
    height: int,
    seed: int,
) -> A.Compose:
    limits = [(sample.width, sample.height)]
    if config.rotate90:
        limits.append((sample.height, sample.width))
    # Cropping a taller window shrinks what it shows: windows of this height still fit.
    tallest = min(min(h, int(w * height / width)) for w, h in limits)
    if tallest < height:
        raise ConfigError(
            f"fit.model.crops.size is {width}x{height} but image {sample.sample_id!r} is "
            f"{sample.width}x{sample.height}; make the crops smaller or rotate90 0"
        )
    window = (round(height / (1 + config.zoom)), min(tallest, round(height / (1 - config.zoom))))
    colour = config.colour
    # A square, so that a turn by 90 degrees changes nothing.
    side = math.ceil(max(window[1], window[1] * width / height))
    around = [] if box is None else [_crop_around(box, sample, side=side, seed=seed)]
    transform = A.Compose(
        [
            *around,
            A.RandomRotate90(p=config.rotate90),
            A.RandomSizedCrop(
                min_max_height=window,
                size=(height, width),
                w2h_ratio=width / height,
                interpolation=cv2.INTER_CUBIC,
            ),
            A.HorizontalFlip(p=config.flip_lr),
            A.VerticalFlip(p=config.flip_ud),
            A.ColorJitter(
                brightness=(1 - colour, 1 + colour),
                contrast=(1 - colour, 1 + colour),
                saturation=(1 - colour, 1 + colour),
                hue=(0, 0),
                p=1 if colour else 0,
            ),
        ],
        bbox_params=A.BboxParams(
            format="pascal_voc",
            label_fields=["class_id"],
            min_visibility=_MIN_VISIBILITY,
            min_area=_MIN_AREA_PX,
            clip=True,
            filter_invalid_bboxes=True,
            # Else a box that two cuts leave little of would pass, cut by cut.
            check_each_transform=False,
        ),
    )
    transform.set_random_seed(seed % 2**32)
    return transform


def _crop_around(box: FloatArray, sample: Sample, *, side: int, seed: int) -> A.Crop:
    """Return the cut of a square, as far as the image has one, with the box in its middle half."""
    rng = np.random.default_rng(derive_seed(seed, "around"))
    centre = (box[:2] + box[2:]) / 2
    size = np.array([sample.width, sample.height])
    low = np.rint(centre - side * rng.uniform(1 / 4, 3 / 4, size=2)).astype(int)
    low = np.clip(low, 0, np.maximum(size - side, 0))
    high = np.minimum(low + side, size)
    return A.Crop(x_min=low[0], y_min=low[1], x_max=high[0], y_max=high[1])
