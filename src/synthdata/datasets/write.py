"""Writes real images in the size that a run needs, and moves their boxes along."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata import boxes
from synthdata.files import replacing_dir, sha256_file
from synthdata.formats.images import read_rgb
from synthdata.samples import DetectionDataset, Sample

SizeOf = Callable[[Sample], tuple[int, int]]


def write_images(source: DetectionDataset, out_dir: Path, *, size_of: SizeOf) -> DetectionDataset:
    """Write a data set's images as upright RGB, lossless PNG, into `out_dir/images`.

    They are resized with Lanczos' filter, which smooths as far as it makes them smaller.

    Args:
        source: Its paths are the original files'.
        out_dir: Gets `images/` as a whole; an older one is replaced.
        size_of: (width, height) in pixels that an image gets.

    Returns:
        The data set as written, without objects that are now a pixel or less in width or height.
    """
    with replacing_dir(out_dir / "images") as folder:
        samples = tuple(
            _write_image(source, sample, size_of(sample), folder)
            for sample in tqdm(source, desc="preparing images", unit="image", disable=None)
        )
    return replace(source, root=out_dir, samples=samples)


def _write_image(
    source: DetectionDataset, sample: Sample, size: tuple[int, int], folder: Path
) -> Sample:
    image = read_rgb(source.image_path(sample))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    path = folder / f"{sample.sample_id}.png"
    image.save(path)
    width, height = size
    xyxy = boxes.scale(
        sample.annotations.xyxy, factor_x=width / sample.width, factor_y=height / sample.height
    )
    # What is smaller than a pixel now can't be seen, so no detector is asked for it.
    seen = (xyxy[:, 2:] - xyxy[:, :2]).min(axis=1, initial=np.inf) > 1
    return replace(
        sample,
        path=Path("images") / path.name,
        width=width,
        height=height,
        annotations=replace(sample.annotations, xyxy=xyxy).select(seen),
        sha256=sha256_file(path),
    )
