"""Copy-paste: objects cut from train images, pasted onto other images.

The free baseline that an image generator has to beat. After "Simple Copy-Paste is a Strong
Data Augmentation Method" (Ghiasi et al. 2021), with boxes instead of masks: what is pasted is
the ellipse inside an object's box, all of the box, or what GrabCut takes for the object in it;
and after "Cut, Paste and Learn" (Dwibedi et al. 2017), where blends vary, so that a detector
doesn't learn to find their seams.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.config.paste import Blend, PasteConfig
from synthdata.errors import GenerationError
from synthdata.generators.blending import paste, paste_poisson, window
from synthdata.generators.donors import (
    MIN_SIDE_PX,
    BoxMask,
    Cutout,
    Donor,
    class_probability,
    cut_out,
    find_donors,
    find_mask,
)
from synthdata.generators.masks import soft_mask, soften
from synthdata.generators.placement import find_room
from synthdata.generators.real_images import read_pixels
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    UInt8Array,
)

_NUM_DRAWS: Final = 30  # of objects, where some find no room
# An object under pasted ones, of whose box they hide more than this share, loses its label.
_MAX_HIDDEN: Final = 0.5


class PasteGenerator:
    """Pastes real objects onto real images, or onto another pool's.

    A request's layout and prompt aren't followed: positions are drawn where the image has
    room. Objects that a border cuts, or that others cover, are pasted only where their class
    has no others. They keep their size in pixels, but for `scale_jitter`. Where `mask:
    grabcut` doesn't find an object in its box, its ellipse is pasted; `mask_counts` says how
    often.

    Args:
        config: How many, which classes, how soft.
        donors: The real train split, whose objects are pasted.
        canvases: What they are pasted onto: the train split too, or a pool with its labels.

    Attributes:
        mask_counts: For `mask: grabcut`, of how many of the objects drawn so far the mask is
            `grabcut`'s, and of how many the `ellipse`; each object counts once.

    Raises:
        GenerationError: If there is no object to paste, no image to paste it onto, or the two
            have other classes.
    """

    def __init__(
        self, config: PasteConfig, *, donors: DetectionDataset, canvases: DetectionDataset
    ) -> None:
        _check(config, donors=donors, canvases=canvases)
        self._config = config
        self._source, self._canvases = donors, canvases
        self._donors = find_donors(donors)
        if not self._donors:
            raise GenerationError(
                f"pasting needs at least one object in the train split, the {len(donors)} images "
                f"have none of at least {MIN_SIDE_PX} px a side; check the annotations, or raise "
                "prepare.image_size"
            )
        self._class_probability = class_probability(self._donors, config.balance)
        self._masks: dict[Donor, BoxMask | None] = {}
        self.mask_counts: Counter[str] = Counter()

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image per request, in order; it depends on the request's seed only.

        The image has the size of the one under it; its annotations are that one's and, after
        them, the pasted ones, without those of which pasted objects hide more than half.
        """
        for request in requests:
            image, annotations = self._compose(np.random.default_rng(request.seed))
            yield GeneratedSample(request, image, annotations, origin="composited")

    def _compose(self, rng: np.random.Generator) -> tuple[UInt8Array, Annotations]:
        base = int(rng.integers(len(self._canvases)))
        sample = self._canvases.samples[base]
        canvas = read_pixels(self._canvases.image_path(sample)).copy()
        xyxy, class_id = sample.annotations.xyxy, sample.annotations.class_id
        on_top = np.full(canvas.shape[:2], -1)
        low, high = self._config.num_objects
        num_wanted = len(class_id) + int(rng.integers(low, high + 1))
        for _ in range(_NUM_DRAWS):
            if len(class_id) == num_wanted:
                break
            donor = self._draw_donor(base, rng)
            blend = self._draw_blend(rng)
            cutout = self._cut_out(donor, blend, rng)
            corner = find_room(
                cutout.inner, xyxy, canvas.shape[:2], max_overlap=self._config.max_overlap, rng=rng
            )
            if corner is None:
                continue
            alpha = self._blend(canvas, cutout, corner, blend)
            there, inside = window(canvas.shape, alpha.shape, corner)
            on_top[there][alpha[inside] >= 0.5] = len(class_id)
            xyxy = np.vstack([xyxy, cutout.inner + np.tile(corner, 2).astype(np.float32)])
            class_id = np.append(class_id, donor.class_id)
        seen = [_hidden_share(box, index, on_top) <= _MAX_HIDDEN for index, box in enumerate(xyxy)]
        return canvas, Annotations(xyxy, class_id).select(np.array(seen, dtype=np.bool_))

    def _draw_donor(self, base: int, rng: np.random.Generator) -> Donor:
        drawn = rng.choice(list(self._donors), p=self._class_probability)
        donors = self._donors[int(drawn)]
        if self._config.onto == "real":
            donors = [donor for donor in donors if donor.image != base] or donors
        return donors[int(rng.integers(len(donors)))]

    def _draw_blend(self, rng: np.random.Generator) -> Blend:
        blends = self._config.blends
        return blends[int(rng.integers(len(blends)))] if len(blends) > 1 else blends[0]

    def _cut_out(self, donor: Donor, blend: Blend, rng: np.random.Generator) -> Cutout:
        return cut_out(
            read_pixels(self._source.image_path(self._source.samples[donor.image])),
            donor,
            self._mask_of(donor) if self._config.mask == "grabcut" else None,
            border=0 if blend == "none" else self._config.feather,
            factor=float(np.exp(rng.normal(0, self._config.scale_jitter))),
            flip=bool(rng.random() < self._config.flip_lr),
        )

    def _mask_of(self, donor: Donor) -> BoxMask | None:
        if donor not in self._masks:
            mask = self._masks[donor] = find_mask(self._source, donor)
            self.mask_counts["ellipse" if mask is None else "grabcut"] += 1
        return self._masks[donor]

    def _blend(
        self, canvas: UInt8Array, cutout: Cutout, corner: npt.NDArray[np.int64], blend: Blend
    ) -> FloatArray:
        """Paste an object onto the canvas and return its opacity."""
        feather = 0 if blend == "none" else self._config.feather
        if cutout.mask is not None:
            alpha = soften(cutout.mask, cutout.inner, feather=feather)
        else:
            shape = self._config.mask if self._config.mask == "box" else "ellipse"
            size_hw = cutout.pixels.shape[0], cutout.pixels.shape[1]
            alpha = soft_mask(size_hw, cutout.inner, shape=shape, feather=feather)
        if blend == "poisson":
            paste_poisson(canvas, cutout.pixels, corner, alpha > 0)
        else:
            paste(canvas, cutout.pixels, corner, alpha)
        return alpha


def _check(config: PasteConfig, *, donors: DetectionDataset, canvases: DetectionDataset) -> None:
    if donors.class_names != canvases.class_names:
        raise GenerationError(
            f"objects can be pasted onto images of the same classes only, {config.onto!r} has "
            f"{list(canvases.class_names)} and the train split {list(donors.class_names)}"
        )
    if len(canvases) == 0:
        raise GenerationError(
            f"pasting needs at least one image to paste onto, {config.onto!r} has none"
        )


def _hidden_share(box: FloatArray, index: int, on_top: npt.NDArray[np.int64]) -> float:
    """Return which share of a box later objects hide.

    Args:
        box: `(4,)` xyxy.
        index: The object's place in the order of pasting.
        on_top: `(H, W)` the last object pasted on each pixel, -1 where there is none.
    """
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.ceil(box[2:]).astype(int)
    covered = on_top[max(y1, 0) : y2, max(x1, 0) : x2] > index
    return float(covered.mean()) if covered.size else 0.0
