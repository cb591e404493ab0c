"""What each filter finds: its ROC-AUC at telling clean real val images from planted defects.

    python benchmarks/planted_defects.py configs/bccd-24.yaml --csv docs/benchmarks/defects.csv
    python benchmarks/planted_defects.py configs/bccd-24.yaml prepare.train_images=null \
        --csv docs/benchmarks/defects.csv

Clean images are val images and their mirror images; each kind of defect is planted in as many.
Filters see the real train split, as in a run. A row is a filter, its columns the kinds, each
with a 95 % interval from resampling the photographs, whose images stay together. The row of the
same config, draw and overrides is replaced.
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score

from synthdata import boxes
from synthdata.boxes import FloatArray
from synthdata.config import load_config
from synthdata.files import sha256_file, sha256_json
from synthdata.filters.kept import SCORES
from synthdata.filters.run import filter_pool
from synthdata.manifest import load_dataset, save_dataset
from synthdata.plan import plan
from synthdata.samples import Annotations, DetectionDataset, Sample, UInt8Array
from synthdata.stages import run_step
from synthdata.training.clip import train_clip

CLEAN: Final = "clean"
_SHARE: Final = 1 / 3  # of an image's objects that a defect touches
_PATCHES: Final = 200  # tried in search of background
_FREE_SHARE: Final = 0.1  # of them that cover least of labelled objects
_FREE_IOU: Final = 0.3  # with an object at most, of a place that is free of such objects
_DIRECTIONS: Final = 20  # tried in search of a place where no such object is
_RESAMPLES: Final = 400

Defect = Callable[[UInt8Array, Annotations, np.random.Generator], tuple[UInt8Array, Annotations]]


def chosen_third(annotations: Annotations, rng: np.random.Generator) -> list[int]:
    """Return a third of the objects, at least one."""
    number = max(1, round(len(annotations) * _SHARE))
    return sorted(rng.permutation(len(annotations))[:number].tolist())


def move(
    image: UInt8Array, annotations: Annotations, rng: np.random.Generator
) -> tuple[UInt8Array, Annotations]:
    """Move a third of the boxes by their own size, within the image.

    Of random directions the first one is taken whose place isn't that of another object of the
    class, where the box wouldn't be wrong.
    """
    xyxy = annotations.xyxy.copy()
    limits = np.array([image.shape[1], image.shape[0]], np.float32)
    for i in chosen_third(annotations, rng):
        size = xyxy[i, 2:] - xyxy[i, :2]
        angle = rng.uniform(0, 2 * np.pi, _DIRECTIONS)[:, None]
        step = size * np.hstack([np.cos(angle), np.sin(angle)])
        low = xyxy[i, :2] + step
        # Back the other way where the image ends.
        low = np.where((low < 0) | (low + size > limits), xyxy[i, :2] - step, low)
        low = np.clip(low, 0, limits - size)
        places = np.hstack([low, low + size]).astype(np.float32)
        others = annotations.xyxy[annotations.class_id == annotations.class_id[i]]
        iou = boxes.iou_matrix(places, others).max(axis=1)
        free = np.flatnonzero(iou <= _FREE_IOU)
        xyxy[i] = places[free[0] if len(free) else iou.argmin()]
    return image, Annotations(xyxy, annotations.class_id)


def swap(
    image: UInt8Array, annotations: Annotations, rng: np.random.Generator, *, num_classes: int
) -> tuple[UInt8Array, Annotations]:
    """Give a third of the boxes another class."""
    class_id = annotations.class_id.copy()
    for i in chosen_third(annotations, rng):
        class_id[i] = (class_id[i] + rng.integers(1, num_classes)) % num_classes
    return image, Annotations(annotations.xyxy, class_id)


def covered_area(patches: FloatArray, xyxy: FloatArray) -> FloatArray:
    """Return how many square pixels of each patch boxes cover, each box counted by itself."""
    low = np.maximum(patches[:, None, :2], xyxy[None, :, :2])
    high = np.minimum(patches[:, None, 2:], xyxy[None, :, 2:])
    area: FloatArray = np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)
    return area


def paint_over(
    image: UInt8Array, annotations: Annotations, rng: np.random.Generator
) -> tuple[UInt8Array, Annotations]:
    """Paint background, taken from elsewhere in the image, over a third of the objects."""
    painted = image.copy()
    height, width = image.shape[:2]
    for i in chosen_third(annotations, rng):
        x0, y0 = np.maximum(np.floor(annotations.xyxy[i, :2] - 2), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(annotations.xyxy[i, 2:] + 2), [width, height]).astype(int)
        w, h = x1 - x0, y1 - y0
        corners = rng.uniform(0, [width - w + 1, height - h + 1], (_PATCHES, 2)).astype(int)
        patches = np.hstack([corners, np.add(corners, [w, h])]).astype(np.float32)
        covered = covered_area(patches, annotations.xyxy)
        # Labels leave objects out: of the places that they leave free, the flattest one.
        free = corners[covered <= np.quantile(covered, _FREE_SHARE)]
        x, y = min(free.tolist(), key=lambda low: image[low[1] :, low[0] :][:h, :w].std())
        painted[y0:y1, x0:x1] = image[y : y + h, x : x + w]
    return painted, annotations


def blur(
    image: UInt8Array, annotations: Annotations, _: np.random.Generator
) -> tuple[UInt8Array, Annotations]:
    """Blur strongly: a Gaussian of 1/48 of the width."""
    return cv2.GaussianBlur(image, (0, 0), image.shape[1] / 48).astype(np.uint8), annotations


def noise(
    image: UInt8Array, annotations: Annotations, rng: np.random.Generator
) -> tuple[UInt8Array, Annotations]:
    """Replace the image by noise."""
    return rng.integers(0, 256, image.shape).astype(np.uint8), annotations


def copy(
    image: UInt8Array, annotations: Annotations, rng: np.random.Generator
) -> tuple[UInt8Array, Annotations]:
    """Cut 5 % off and add noise; the image is a train image, mirrored or not."""
    height, width = image.shape[:2]
    size = np.array([width, height])
    kept = np.round(size * 0.95).astype(int)
    x, y = rng.integers(0, size - kept + 1)
    cut = cv2.resize(image[y : y + kept[1], x : x + kept[0]], (width, height))
    noisy = np.clip(cut + rng.normal(0, 8, cut.shape), 0, 255).astype(np.uint8)
    moved = (annotations.xyxy - np.tile([x, y], 2)) * np.tile(size / kept, 2)
    clipped = np.clip(moved, 0, np.tile(size, 2)).astype(np.float32)
    visible = (clipped[:, 2:] - clipped[:, :2] >= 2).all(axis=1)
    return noisy, Annotations(clipped[visible], annotations.class_id[visible])


def turned(dataset: DetectionDataset, number: int) -> Iterator[tuple[str, UInt8Array, Annotations]]:
    """Yield images in turn, mirrored in four ways in turn, each the next time in another way."""
    for i in range(number):
        sample = dataset.samples[i % len(dataset)]
        way = i // len(dataset) + i % len(dataset)
        with Image.open(dataset.image_path(sample)) as file:
            image = np.asarray(file.convert("RGB"))
        xyxy = sample.annotations.xyxy.copy()
        if way % 2:
            image, xyxy[:, [0, 2]] = image[:, ::-1], image.shape[1] - xyxy[:, [2, 0]]
        if way // 2 % 2:
            image, xyxy[:, [1, 3]] = image[::-1], image.shape[0] - xyxy[:, [3, 1]]
        yield sample.sample_id, image, Annotations(xyxy, sample.annotations.class_id)


def plant(prepared: DetectionDataset, root: Path, *, number: int, seed: int) -> DetectionDataset:
    """Write the clean and the defective images, `<kind>-<number>-<photograph>`, and return them."""
    num_classes = len(prepared.class_names)
    defects: dict[str, Defect] = {
        CLEAN: lambda image, annotations, _: (image, annotations),
        "moved": move,
        "swapped": lambda *args: swap(*args, num_classes=num_classes),
        "painted": paint_over,
        "copied": copy,
        "blurred": blur,
        "noise": noise,
    }
    rng = np.random.default_rng(seed)
    samples = []
    (root / "images").mkdir(parents=True, exist_ok=True)
    for kind, defect in defects.items():
        source = prepared.split("train" if kind == "copied" else "val")
        for i, (name, image, annotations) in enumerate(turned(source, number)):
            pixels, labels = defect(np.ascontiguousarray(image), annotations, rng)
            sample_id = f"{kind}-{i:03}-{name}"
            path = Path("images") / f"{sample_id}.png"
            Image.fromarray(pixels).save(root / path)
            samples.append(
                Sample(
                    sample_id=sample_id, path=path, width=pixels.shape[1], height=pixels.shape[0],
                    annotations=labels, split="train", sha256=sha256_file(root / path),
                )
            )  # fmt: skip
    pool = replace(prepared, root=root, samples=tuple(samples))
    save_dataset(pool)
    return pool


def main() -> None:
    """Measure all filters of the config on all defects."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--number", type=int, default=200, help="images of each kind")
    parser.add_argument("--draw", type=int, default=100)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs") / "defects")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    overrides = [*arguments.overrides, f"seeds=[{arguments.draw}]"]
    config = load_config(arguments.config, overrides)
    key = sha256_json([config.model_dump(mode="json"), arguments.number])[:12]
    work_dir = arguments.work_dir.absolute() / key
    step = next(one for one in plan(config, work_dir) if one.stage == "prepare")
    run_step(step)
    prepared = load_dataset(step.out_dir)
    pool = plant(prepared, work_dir / "pool", number=arguments.number, seed=arguments.draw)
    section = config.filter.model_copy(
        update={"seed": arguments.draw, "keep_fraction": 1.0, "min_coverage": 0.0}
    )
    train = prepared.split("train")
    clip_dir = work_dir / "fit"
    if config.fit.clip is not None:
        template = config.fit.prompt_template
        train_clip(config.fit.clip, train, prompt_template=template, seed=arguments.draw).save(
            clip_dir
        )
    filter_pool(section, train=train, pool=pool, model_dir=clip_dir, out_dir=work_dir / "filter")
    scores = pd.read_parquet(work_dir / "filter" / SCORES)
    known: dict[str, object] = {
        "config": Path(arguments.config).stem, "draw": arguments.draw, "train_images": len(train),
        "images_a_kind": arguments.number,
    }  # fmt: skip
    rows = pd.DataFrame(
        known
        | {"filter": kind, **_aucs(one["score"].to_numpy(), one["sample_id"].tolist())}
        | {"overrides": " ".join(arguments.overrides)}
        for kind, one in scores.groupby("filter", sort=False)
    ).round(3)
    path: Path = arguments.csv
    if path.is_file():
        earlier = pd.read_csv(path, keep_default_na=False)
        rows = pd.concat([earlier, rows]).drop_duplicates(
            [*known, "filter", "overrides"], keep="last"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    print(rows.to_string(index=False))


def _aucs(scores: FloatArray, sample_ids: list[str]) -> dict[str, float]:
    """Return how well the score tells each kind from the clean images, with its interval."""
    # What a filter can't judge it wouldn't reject.
    known = np.nan_to_num(scores, nan=1.0)
    kind, photograph = np.array([one.split("-", 2)[::2] for one in sample_ids]).T
    names, place = np.unique(photograph, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES
    )
    columns = {}
    for name in dict.fromkeys(kind.tolist()):
        if name == CLEAN:
            continue
        chosen = (kind == CLEAN) | (kind == name)
        is_clean, values = kind[chosen] == CLEAN, known[chosen]
        resampled = [
            roc_auc_score(is_clean, values, sample_weight=times[place[chosen]]) for times in drawn
        ]
        columns[name] = float(roc_auc_score(is_clean, values))
        columns[f"{name}_low"], columns[f"{name}_high"] = np.quantile(resampled, [0.025, 0.975])
    return columns


if __name__ == "__main__":
    main()
