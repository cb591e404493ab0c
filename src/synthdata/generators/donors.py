"""Objects that may be cut out of real images and pasted elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.generators.grabcut import grabcut_mask
from synthdata.generators.real_images import read_pixels
from synthdata.layout.geometry import BoolArray, covered_share, touched_edges
from synthdata.samples import DetectionDataset, UInt8Array

MIN_SIDE_PX: Final = 3.0
# A box that others cover by more than this share would carry their pieces along, unlabelled.
_MAX_COVERED: Final = 0.25
# How much around a box shows what background is: as a fraction of the box, and at least.
_CONTEXT: Final = 0.5
_MIN_CONTEXT_PX: Final = 4.0
_HALF: Final = 127  # grey levels


@dataclass(frozen=True)
class Donor:
    """An object that may be cut out.

    Attributes:
        image: Its image's place in the data set.
        index: Its place among the image's objects.
        class_id: Its class.
        box: xyxy, pixels.
    """

    image: int
    index: int
    class_id: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Cutout:
    """A resized object with a border of its surroundings.

    Attributes:
        pixels: `(h, w, 3)`.
        inner: `(4,)` xyxy, the object's box within the crop.
        mask: `(h, w)` which pixels are the object; None where only its box is known.
    """

    pixels: UInt8Array
    inner: FloatArray
    mask: BoolArray | None


@dataclass(frozen=True)
class BoxMask:
    """Which pixels of an image are an object.

    Attributes:
        left: Where `mask` begins in the image, pixels.
        top: Where it begins, pixels.
        mask: `(h, w)`, at least the object's box.
    """

    left: int
    top: int
    mask: BoolArray


def find_donors(dataset: DetectionDataset) -> dict[int, list[Donor]]:
    """Return the objects worth pasting, by class; all of a class that has no such.

    Worth pasting is what no border of its image cuts and what others hardly cover.
    """
    every: dict[int, list[tuple[bool, Donor]]] = {}
    for image, sample in enumerate(dataset):
        xyxy = sample.annotations.xyxy
        whole = ~touched_edges(xyxy, width=sample.width, height=sample.height).any(axis=1)
        clear = whole & (covered_share(xyxy) <= _MAX_COVERED)
        class_ids = sample.annotations.class_id.tolist()
        for index, (box, class_id) in enumerate(zip(xyxy.tolist(), class_ids, strict=True)):
            if min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE_PX:
                donor = Donor(image, index, class_id, (*box,))
                every.setdefault(class_id, []).append((bool(clear[index]), donor))
    return {
        class_id: [donor for is_clear, donor in donors if is_clear]
        or [donor for _, donor in donors]
        for class_id, donors in sorted(every.items())
    }


def class_probability(
    donors: Mapping[int, Sequence[Donor]], balance: float
) -> npt.NDArray[np.float64]:
    """Return how probably each class is drawn, in the order of the mapping.

    Args:
        donors: Objects by class.
        balance: 0 draws classes as often as they occur, 1 each as often.
    """
    sizes = np.array([len(of_class) for of_class in donors.values()], dtype=np.float64)
    weight = sizes ** (1 - balance)
    probability: npt.NDArray[np.float64] = weight / weight.sum()
    return probability


def draw_objects(
    donors: Mapping[int, Sequence[Donor]], balance: float, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, int]]:
    """Yield `(2,)` width and height in pixels, and class, of objects that are drawn without end.

    Args:
        donors: Objects by class.
        balance: As for `class_probability`.
        rng: Draws them.
    """
    probability = class_probability(donors, balance)
    while True:
        of_class = donors[int(rng.choice(list(donors), p=probability))]
        donor = of_class[int(rng.integers(len(of_class)))]
        box = np.array(donor.box, np.float32)
        yield box[2:] - box[:2], donor.class_id


def find_mask(dataset: DetectionDataset, donor: Donor) -> BoxMask | None:
    """Return the object's pixels by `grabcut_mask`, or None where it doesn't find them."""
    sample = dataset.samples[donor.image]
    box = np.array(donor.box, dtype=np.float32)
    context = np.maximum((box[2:] - box[:2]) * _CONTEXT, _MIN_CONTEXT_PX)
    left, top = np.maximum(np.floor(box[:2] - context), 0).astype(int).tolist()
    right, bottom = np.ceil(box[2:] + context).astype(int).tolist()
    pixels = read_pixels(dataset.image_path(sample))[top:bottom, left:right]
    origin = np.array([left, top] * 2, dtype=np.float32)
    others = np.delete(sample.annotations.xyxy, donor.index, axis=0) - origin
    mask = grabcut_mask(pixels, box - origin, others)
    return None if mask is None else BoxMask(left, top, mask)


def cut_out(
    pixels: UInt8Array,
    donor: Donor,
    mask: BoxMask | None,
    *,
    border: float,
    factor: float,
    flip: bool,
) -> Cutout:
    """Return an object, resized and perhaps flipped, with its surroundings.

    Args:
        pixels: `(H, W, 3)` its image.
        donor: The object.
        mask: Its pixels, where they are known.
        border: How far the crop reaches beyond the box, as a fraction of half the box.
        factor: Its new size, as a multiple of the old one.
        flip: Whether it is flipped left to right.
    """
    x1, y1, x2, y2 = donor.box
    border_x, border_y = (x2 - x1) * border / 2, (y2 - y1) * border / 2
    full_w, full_h = x2 - x1 + 2 * border_x, y2 - y1 + 2 * border_y
    size = max(round(full_w * factor), 1), max(round(full_h * factor), 1)
    source = (x1 - border_x, y1 - border_y, x2 + border_x, y2 + border_y)
    pad = int(np.ceil(max(border_x, border_y)))
    # Borders outside of the photograph repeat its outermost pixels.
    crop, chosen = _resized(pixels, source, size, pad=pad, mode="edge"), None
    if mask is not None:
        left, top = mask.left, mask.top
        shifted = (source[0] - left, source[1] - top, source[2] - left, source[3] - top)
        grey = _resized(mask.mask.astype(np.uint8) * 255, shifted, size, pad=pad, mode="constant")
        chosen = grey > _HALF
    if flip:
        crop, chosen = crop[:, ::-1], None if chosen is None else chosen[:, ::-1]
    scale_x, scale_y = size[0] / full_w, size[1] / full_h
    inner = np.array(
        [border_x * scale_x, border_y * scale_y,
         (full_w - border_x) * scale_x, (full_h - border_y) * scale_y],
        dtype=np.float32,
    )  # fmt: skip
    return Cutout(crop, inner, chosen)


def _resized(
    pixels: UInt8Array,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    *,
    pad: int,
    mode: Literal["edge", "constant"],
) -> UInt8Array:
    """Return what lies in a box, at most `pad` outside the image, at a size (width, height)."""
    widths = ((pad, pad), (pad, pad), (0, 0))[: pixels.ndim]
    padded = Image.fromarray(np.pad(pixels, widths, mode=mode))
    source = (box[0] + pad, box[1] + pad, box[2] + pad, box[3] + pad)
    resized: UInt8Array = np.asarray(padded.resize(size, Image.Resampling.LANCZOS, box=source))
    return resized
