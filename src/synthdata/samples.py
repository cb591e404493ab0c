"""The values that travel between modules: boxes with classes, images, layouts, data sets.

All are frozen, validate themselves and hold no pixels, except `GeneratedSample`, which
carries one image from a generator to the disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray, as_xyxy

IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
Split = Literal["train", "reserve", "val", "test"]
Origin = Literal["real", "generated", "composited", "provided"]


@dataclass(frozen=True, eq=False)
class Annotations:
    """The objects of one image.

    Attributes:
        xyxy: `(N, 4)` float32, pixels.
        class_id: `(N,)` int64, index into the data set's class names.
    """

    xyxy: FloatArray
    class_id: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", as_xyxy(self.xyxy))
        class_id = np.asarray(self.class_id, dtype=np.int64).reshape(-1)
        object.__setattr__(self, "class_id", class_id)
        if len(self.xyxy) != len(class_id):
            raise ValueError(
                f"xyxy and class_id must have the same length, got {len(self.xyxy)} and "
                f"{len(class_id)}"
            )

    @classmethod
    def empty(cls) -> "Annotations":
        """Return the annotations of a background image."""
        return cls(xyxy=np.zeros((0, 4), np.float32), class_id=np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.class_id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Annotations)
            and np.array_equal(self.xyxy, other.xyxy)
            and np.array_equal(self.class_id, other.class_id)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable values, not keys

    def select(self, index: npt.NDArray[np.bool_] | IntArray) -> "Annotations":
        """Return the objects at `index` (a mask or positions)."""
        return Annotations(xyxy=self.xyxy[index], class_id=self.class_id[index])

    def counts(self, num_classes: int) -> IntArray:
        """Return the `(num_classes,)` number of objects a class."""
        return np.bincount(self.class_id, minlength=num_classes).astype(np.int64)


@dataclass(frozen=True)
class Sample:
    """One image of a data set on disk and what is known of it; a row of the manifest.

    Attributes:
        sample_id: Unique in its data set; also the file's stem.
        path: Relative to the data set's folder.
        width: Pixels.
        height: Pixels.
        annotations: The objects.
        split: `reserve` is real training data kept from the few-shot draw, for a ceiling.
        origin: `composited` has real pixels, pasted together or painted over in part; `provided`
            is an extra image that the user had already.
        sha256: Of the image file; empty until it is written.
        seed: The seed that made the image; None for a photograph.
        layout_id: The layout that it was asked to show; where it was made from another image
            (img2img, inpainting, composites), that image's id, and `+` and the layout's.
        prompt: The text that it was asked to show.
        pool: The pool of extra images that it belongs to; empty for one of the real data.
        config_sha256: Digest of the config that made it.
        group: What the image belongs to with others that aren't independent of it: tiles of one
            picture, frames of a camera, near-duplicates. Empty where it stands alone.
    """

    sample_id: str
    path: Path
    width: int
    height: int
    annotations: Annotations
    split: Split = "train"
    origin: Origin = "real"
    sha256: str = ""
    seed: int | None = None
    layout_id: str = ""
    prompt: str = ""
    pool: str = ""
    config_sha256: str = ""
    group: str = ""


@dataclass(frozen=True)
class Layout:
    """What an image should show: a canvas in pixels and the objects on it."""

    layout_id: str
    width: int
    height: int
    annotations: Annotations


@dataclass(frozen=True)
class GenerationRequest:
    """One image to make.

    Its pixels depend on these four values, the model and the real train images only.
    """

    sample_id: str
    layout: Layout
    prompt: str
    seed: int


@dataclass(frozen=True)
class GeneratedSample:
    """One image made.

    Attributes:
        request: What was asked; with the layout and the prompt that were shown, where these
            differ (img2img, inpainting).
        image: `(H, W, 3)` uint8 RGB.
        annotations: What the image is labelled with: the layout's objects, or a
            generator's own where it keeps real objects too (copy-paste, inpainting).
        origin: Whether pixels were generated or composited.
    """

    request: GenerationRequest
    image: UInt8Array
    annotations: Annotations
    origin: Origin = "generated"


@dataclass(frozen=True)
class DetectionDataset:
    """Images with boxes under one folder.

    Attributes:
        root: Folder that the samples' paths are relative to.
        class_names: Class `i` is `class_names[i]`.
        samples: In a fixed order.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...] = field(default=())

    def __post_init__(self) -> None:
        ids = [sample.sample_id for sample in self.samples]
        if len(set(ids)) != len(ids):
            seen: set[str] = set()
            twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise ValueError(f"sample ids must be unique, {twice!r} occurs twice")

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def split(self, *names: Split) -> "DetectionDataset":
        """Return the samples of the named splits, in order."""
        return replace(self, samples=tuple(s for s in self.samples if s.split in names))

    def where(self, **values: object) -> "DetectionDataset":
        """Return the samples whose fields equal the given values, in order."""
        return replace(
            self,
            samples=tuple(
                s for s in self.samples if all(getattr(s, k) == v for k, v in values.items())
            ),
        )

    def groups(self) -> list[str]:
        """Return a label for each sample, equal for samples that belong together.

        A sample without a group has a label of its own, its id. Statistics resample whole
        groups, since images that belong together aren't independent.
        """
        return [sample.group or sample.sample_id for sample in self.samples]

    def image_path(self, sample: Sample) -> Path:
        """Return where the sample's image file is."""
        return self.root / sample.path


def join_datasets(**parts: DetectionDataset) -> DetectionDataset:
    """Return the samples of several data sets of the same classes, in order.

    Their paths become absolute, and their ids `<name of the part>/<id>`.
    """
    first = next(iter(parts.values()))
    samples = tuple(
        replace(
            sample,
            path=part.image_path(sample).absolute(),
            sample_id=f"{name}/{sample.sample_id}",
        )
        for name, part in parts.items()
        for sample in part
    )
    return replace(first, samples=samples)
