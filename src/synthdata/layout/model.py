"""What the train split shows about layouts, in a form that new ones are drawn from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthdata.boxes import FloatArray
from synthdata.layout.attraction import fit_attraction
from synthdata.layout.geometry import BoolArray, overlap_matrix, touched_edges
from synthdata.samples import Annotations, DetectionDataset, IntArray


@dataclass(frozen=True)
class ClassBoxes:
    """All real boxes of one class, free of their image's size.

    Attributes:
        size: `(N, 2)` width and height, over the square root of the image's area.
        centre: `(N, 2)` x and y, as fractions of the image.
        edges: `(N, 4)` which borders cut the box: left, top, right, bottom.
        bandwidth: `(2,)` standard deviation of the position noise, as a fraction of the
            image: Scott's rule, `std * N ** (-1/6)` in two dimensions.
    """

    size: FloatArray
    centre: FloatArray
    edges: BoolArray
    bandwidth: FloatArray

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class LayoutModel:
    """The train split's layouts.

    Attributes:
        canvases: (width, height) of each image, pixels.
        annotations: Of each image.
        counts: `(images, classes)`.
        boxes: By class.
        overlap_limit: `(classes, classes)` largest allowed intersection over the smaller area.
        attraction: `(classes, classes, bins)` of `synthdata.layout.attraction`.
    """

    canvases: tuple[tuple[int, int], ...]
    annotations: tuple[Annotations, ...]
    counts: IntArray
    boxes: tuple[ClassBoxes, ...]
    overlap_limit: FloatArray
    attraction: FloatArray


def fit_layout_model(train: DetectionDataset, *, max_overlap: float) -> LayoutModel:
    """Return the model of a data set with at least one image.

    Args:
        train: The real train split; only its annotations are read.
        max_overlap: No pair of classes is allowed more than this, in [0, 1].
    """
    num_classes = len(train.class_names)
    return LayoutModel(
        canvases=tuple((sample.width, sample.height) for sample in train),
        annotations=tuple(sample.annotations for sample in train),
        counts=np.stack([sample.annotations.counts(num_classes) for sample in train]),
        boxes=tuple(_class_boxes(train, class_id) for class_id in range(num_classes)),
        overlap_limit=np.minimum(_largest_overlaps(train), np.float32(max_overlap)),
        attraction=fit_attraction(train),
    )


def _class_boxes(train: DetectionDataset, class_id: int) -> ClassBoxes:
    size, centre, edges = [], [], []
    for sample in train:
        chosen = sample.annotations.class_id == class_id
        xyxy = sample.annotations.xyxy[chosen]
        canvas = np.array([sample.width, sample.height], dtype=np.float32)
        size.append((xyxy[:, 2:] - xyxy[:, :2]) / np.sqrt(canvas.prod()))
        centre.append((xyxy[:, :2] + xyxy[:, 2:]) / 2 / canvas)
        edges.append(touched_edges(xyxy, width=sample.width, height=sample.height))
    centres = np.concatenate(centre)
    return ClassBoxes(
        size=np.concatenate(size),
        centre=centres,
        edges=np.concatenate(edges),
        bandwidth=_scott_bandwidth(centres),
    )


def _scott_bandwidth(centre: FloatArray) -> FloatArray:
    if len(centre) == 0:
        return np.zeros(2, dtype=np.float32)
    result: npt.NDArray[np.float32] = centre.std(axis=0) * np.float32(len(centre) ** (-1 / 6))
    return result


def _largest_overlaps(train: DetectionDataset) -> FloatArray:
    num_classes = len(train.class_names)
    largest = np.zeros((num_classes, num_classes), dtype=np.float32)
    for sample in train:
        overlap = overlap_matrix(sample.annotations.xyxy, sample.annotations.xyxy)
        np.fill_diagonal(overlap, 0)
        classes = sample.annotations.class_id
        np.maximum.at(largest, (classes[:, None], classes[None, :]), overlap)
    return largest
