"""The embedded data set: photographs, so to say, of handwritten digits on paper.

Made from scikit-learn's `load_digits` (1,797 real scans of 8x8 pixels; E. Alpaydin and
C. Kaynak, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0), so that it needs no
download, has exact boxes and any number of scenes. Train, val and test never share a scan.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from synthdata.boxes import iou_matrix
from synthdata.config.sources import DigitsSource, InkName, PaperName
from synthdata.datasets.paper import (
    FloatImage,
    blank_paper,
    ink_colour,
    ink_contrast,
    photograph,
    write,
)
from synthdata.files import replacing_dir, sha256_json, write_json
from synthdata.formats.coco import to_coco
from synthdata.samples import Annotations, DetectionDataset, Sample, Split, UInt8Array
from synthdata.seeding import derive_seed

WIDTH, HEIGHT = 128, 96
# Part of the folder's name: raise it when the drawing changes, so that old scenes aren't reused.
VERSION = 1
_POOL_SHARES: dict[Split, tuple[float, float]] = {
    "train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0),
}  # fmt: skip
_PLAIN: tuple[PaperName, InkName] = ("office", "pen")
_NUM_OBJECTS, _SIZE_PX, _MAX_IOU, _ZOOM = (2, 7), (20, 44), 0.03, 7


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        image: `(96, 128, 3)` uint8 RGB.
        annotations: Boxes tight around the ink; class `i` is the `i`-th of the digits asked.
        scan_ids: `(N,)` which scan each object shows, an index into `load_digits`.
    """

    image: UInt8Array
    annotations: Annotations
    scan_ids: tuple[int, ...]


def make_scene(
    split: Split,
    index: int,
    *,
    digits: Sequence[int] = (0, 4, 7),
    dataset_seed: int = 0,
    paper: PaperName = "office",
    ink: InkName = "pen",
) -> Scene:
    """Return scene `index` of a split; it depends on the arguments only, on no other scene.

    Args:
        split: train, val or test; which scans may be used.
        index: 0 and up, without end.
        digits: The classes.
        dataset_seed: Which data set.
        paper: What is written on. Scenes on another paper aren't the same ones repainted.
        ink: What is written with; likewise.
    """
    look = () if (paper, ink) == _PLAIN else (paper, ink)
    rng = np.random.default_rng(derive_seed(dataset_seed, "digits", split, index, *look))
    scene = blank_paper(rng, width=WIDTH, height=HEIGHT, kind=paper)
    colour, contrast = ink_colour(rng, ink), ink_contrast(rng, ink)
    boxes: list[tuple[float, float, float, float]] = []
    class_ids: list[int] = []
    scan_ids: list[int] = []
    for _ in range(rng.integers(_NUM_OBJECTS[0], _NUM_OBJECTS[1] + 1)):
        class_id = int(rng.integers(len(digits)))
        pool = _scan_pool(digits[class_id], split)
        scan_id = int(pool[rng.integers(len(pool))])
        stroke = _draw_scan(rng, scan_id)
        corner = _free_corner(rng, stroke.shape, boxes)
        if corner is None:
            continue
        if rng.random() < 0.25:  # now and then somebody takes another pen
            colour, contrast = ink_colour(rng, ink), ink_contrast(rng, ink)
        x, y = corner
        place = np.s_[y : y + stroke.shape[0], x : x + stroke.shape[1]]
        scene[place] = write(scene[place], stroke, colour, contrast, rng=rng, kind=ink)
        boxes.append((x, y, x + stroke.shape[1], y + stroke.shape[0]))
        class_ids.append(class_id)
        scan_ids.append(scan_id)
    annotations = Annotations(xyxy=np.array(boxes), class_id=np.array(class_ids))
    return Scene(photograph(rng, scene), annotations, tuple(scan_ids))


@lru_cache(maxsize=1)
def _scans() -> tuple[FloatImage, npt.NDArray[np.int64]]:
    from sklearn.datasets import load_digits  # slow to import

    loaded = load_digits()
    return np.asarray(loaded.images / 16, np.float32), np.asarray(loaded.target, np.int64)


@lru_cache(maxsize=30)
def _scan_pool(digit: int, split: Split) -> npt.NDArray[np.int64]:
    """Return the scans of a digit that a split may use, whatever the data set's seed."""
    ids = np.flatnonzero(_scans()[1] == digit)
    ids = np.random.default_rng(derive_seed(0, "digits scans", digit)).permutation(ids)
    first, last = (round(share * len(ids)) for share in _POOL_SHARES[split])
    return ids[first:last]


def _draw_scan(rng: np.random.Generator, scan_id: int) -> FloatImage:
    """Return a scan as a stroke mask whose edges are the ink's, 20 to 44 px on its long side.

    The scan is a coverage of 8x8 cells, so that a smooth enlargement cut at about one half
    gives the pen's stroke back; where it is cut varies the pen's width.
    """
    cells = np.pad(_scans()[0][scan_id], 2)
    angle, shear = np.deg2rad(rng.uniform(-14, 14)), rng.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, 0], [shear, 1]]) / _ZOOM
    size = len(cells) * _ZOOM
    offset = (len(cells) - 1) / 2 - matrix @ np.full(2, (size - 1) / 2)
    fine = ndimage.affine_transform(cells, matrix, offset, output_shape=(size, size), order=3)
    stroke = 1 / (1 + np.exp((rng.uniform(0.36, 0.52) - fine) * 14))
    tight = stroke[_extent(stroke)]
    long_side = rng.uniform(*_SIZE_PX)
    width, height = np.maximum(
        np.rint(np.array(tight.shape[::-1]) * long_side / max(tight.shape)), 5
    ).astype(int)
    small = Image.fromarray((tight * 255).astype(np.uint8)).resize(
        (int(width), int(height)), Image.Resampling.BOX
    )
    mask = np.asarray(small, np.float32) / 255
    return np.asarray(mask[_extent(mask)], np.float32)


def _extent(mask: npt.NDArray[np.floating]) -> tuple[slice, slice]:
    """Return the rows and columns where a stroke covers at least a quarter of some pixel."""
    rows, columns = (np.flatnonzero((mask >= 0.25).any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _free_corner(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    boxes: Sequence[tuple[float, float, float, float]],
) -> tuple[int, int] | None:
    """Return the top left corner of a place that hardly overlaps, or None on a full page."""
    taken = np.array(boxes, np.float32).reshape(-1, 4)
    for _ in range(60):
        x = int(rng.integers(1, WIDTH - shape[1]))
        y = int(rng.integers(1, HEIGHT - shape[0]))
        box = np.array([[x, y, x + shape[1], y + shape[0]]], np.float32)
        if iou_matrix(box, taken).max(initial=0.0) <= _MAX_IOU:
            return x, y
    return None


def digits_key(source: DigitsSource) -> str:
    """Return the digest that names the scenes of a config; a default look isn't part of it."""
    plain = {"paper", "ink"} if (source.paper, source.ink) == _PLAIN else set()
    return sha256_json([VERSION, source.model_dump(mode="json", exclude=plain)])


def write_digits(source: DigitsSource, out_dir: Path) -> None:
    """Write the scenes as a COCO data set with official splits, all or nothing."""
    with replacing_dir(out_dir) as folder:
        (folder / "images").mkdir()
        samples = tuple(_write_scenes(source, folder))
        names = tuple(str(digit) for digit in source.digits)
        write_json(folder / "annotations.json", to_coco(DetectionDataset(folder, names, samples)))


def _write_scenes(source: DigitsSource, folder: Path) -> Iterator[Sample]:
    numbers: dict[Split, int] = {
        "train": source.num_train, "val": source.num_val, "test": source.num_test,
    }  # fmt: skip
    jobs = [(split, index) for split, number in numbers.items() for index in range(number)]
    for split, index in tqdm(jobs, desc="digits scenes", unit="scene", disable=None):
        scene = make_scene(
            split,
            index,
            digits=source.digits,
            dataset_seed=source.dataset_seed,
            paper=source.paper,
            ink=source.ink,
        )
        name = f"{split}-{index:05d}"
        path = Path("images") / f"{name}.png"
        Image.fromarray(scene.image).save(folder / path)
        yield Sample(name, path, WIDTH, HEIGHT, scene.annotations, split=split)
