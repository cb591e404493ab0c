"""Copy-paste: objects cut from train images, pasted onto other train images.

The free baseline that an image generator has to beat. After "Simple Copy-Paste is a Strong
Data Augmentation Method" (Ghiasi et al. 2021), with boxes instead of masks: what lies in the
ellipse inside an object's box (or in all of it) is pasted, with a soft border of its
surroundings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from synthdata.boxes import FloatArray
from synthdata.config.generator import CopyPasteConfig
from synthdata.errors import GenerationError
from synthdata.generators.pasting import paste, soft_mask
from synthdata.generators.placement import find_room
from synthdata.generators.real_images import read_pixels
from synthdata.layout.geometry import covered_share, touched_edges
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    UInt8Array,
)

_NUM_DRAWS: Final = 30  # of objects, where some find no room
_MIN_SIDE_PX: Final = 3.0
# A box that others cover by more than this share would carry their pieces along, unlabelled.
_MAX_COVERED: Final = 0.25


@dataclass(frozen=True)
class _Donor:
    """An object that may be cut out: its image's place in the train split, and its box."""

    image: int
    class_id: int
    box: tuple[float, float, float, float]


class CopyPasteGenerator:
    """Pastes real objects onto real images.

    A request's layout and prompt aren't followed: positions are drawn where the image has
    room. Objects that a border cuts, or that others cover, are pasted only where their class
    has no others.

    Args:
        config: How many, which classes, how soft.
        train: The real train split.

    Raises:
        GenerationError: If the train split has no object.
    """

    def __init__(self, config: CopyPasteConfig, train: DetectionDataset) -> None:
        self._config = config
        self._train = train
        self._donors = _find_donors(train)
        if not self._donors:
            raise GenerationError(
                f"copy_paste needs at least one object in the train split, the {len(train)} "
                f"images have none of at least {_MIN_SIDE_PX} px a side; check the annotations, or "
                "raise prepare.image_size"
            )
        sizes = np.array([len(donors) for donors in self._donors.values()], dtype=np.float64)
        weight = sizes ** (1 - config.balance)
        self._class_probability = weight / weight.sum()

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield an image a request, in order; it depends on the request's seed only.

        The image has the size of the real one under it; its annotations are the real ones
        and, after them, the pasted ones.
        """
        for request in requests:
            image, annotations = self._compose(np.random.default_rng(request.seed))
            yield GeneratedSample(request, image, annotations, origin="composited")

    def _compose(self, rng: np.random.Generator) -> tuple[UInt8Array, Annotations]:
        base = int(rng.integers(len(self._train)))
        sample = self._train.samples[base]
        canvas = read_pixels(self._train.image_path(sample)).copy()
        xyxy, class_id = sample.annotations.xyxy, sample.annotations.class_id
        low, high = self._config.num_objects
        num_wanted = len(class_id) + int(rng.integers(low, high + 1))
        for _ in range(_NUM_DRAWS):
            if len(class_id) == num_wanted:
                break
            donor = self._draw_donor(base, rng)
            crop, inner = self._cut_out(donor, rng)
            corner = find_room(
                inner, xyxy, canvas.shape[:2], max_overlap=self._config.max_overlap, rng=rng
            )
            if corner is None:
                continue
            alpha = soft_mask(
                crop.shape[:2], inner, shape=self._config.mask, feather=self._config.feather
            )
            paste(canvas, crop, corner, alpha)
            xyxy = np.vstack([xyxy, inner + np.tile(corner, 2).astype(np.float32)])
            class_id = np.append(class_id, donor.class_id)
        return canvas, Annotations(xyxy, class_id)

    def _draw_donor(self, base: int, rng: np.random.Generator) -> _Donor:
        drawn = rng.choice(list(self._donors), p=self._class_probability)
        donors = self._donors[int(drawn)]
        elsewhere = [donor for donor in donors if donor.image != base] or donors
        return elsewhere[int(rng.integers(len(elsewhere)))]

    def _cut_out(self, donor: _Donor, rng: np.random.Generator) -> tuple[UInt8Array, FloatArray]:
        """Return a resized crop with its border, `(h, w, 3)`, and the object's box in it."""
        pixels = read_pixels(self._train.image_path(self._train.samples[donor.image]))
        x1, y1, x2, y2 = donor.box
        border_x = (x2 - x1) * self._config.feather / 2
        border_y = (y2 - y1) * self._config.feather / 2
        factor = float(np.exp(rng.normal(0, self._config.scale_jitter)))
        full_w, full_h = x2 - x1 + 2 * border_x, y2 - y1 + 2 * border_y
        size = max(round(full_w * factor), 1), max(round(full_h * factor), 1)
        # Borders outside of the photograph repeat its outermost pixels.
        pad = int(np.ceil(max(border_x, border_y)))
        padded = Image.fromarray(np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
        source = (
            x1 - border_x + pad,
            y1 - border_y + pad,
            x2 + border_x + pad,
            y2 + border_y + pad,
        )
        crop = np.asarray(padded.resize(size, Image.Resampling.LANCZOS, box=source))
        if rng.random() < self._config.flip_lr:
            crop = crop[:, ::-1]
        scale_x, scale_y = size[0] / full_w, size[1] / full_h
        inner = np.array(
            [border_x * scale_x, border_y * scale_y,
             (full_w - border_x) * scale_x, (full_h - border_y) * scale_y],
            dtype=np.float32,
        )  # fmt: skip
        return crop, inner


def _find_donors(train: DetectionDataset) -> dict[int, list[_Donor]]:
    """Return the objects worth pasting, by class; all of a class that has no such."""
    every: dict[int, list[tuple[bool, _Donor]]] = {}
    for image, sample in enumerate(train):
        xyxy = sample.annotations.xyxy
        whole = ~touched_edges(xyxy, width=sample.width, height=sample.height).any(axis=1)
        clear = whole & (covered_share(xyxy) <= _MAX_COVERED)
        for box, class_id, is_clear in zip(
            xyxy.tolist(), sample.annotations.class_id.tolist(), clear.tolist(), strict=True
        ):
            if min(box[2] - box[0], box[3] - box[1]) >= _MIN_SIDE_PX:
                every.setdefault(class_id, []).append((is_clear, _Donor(image, class_id, (*box,))))
    return {
        class_id: [donor for is_clear, donor in donors if is_clear]
        or [donor for _, donor in donors]
        for class_id, donors in sorted(every.items())
    }
