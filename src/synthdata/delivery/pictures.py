"""The user's images: found, brought to the form that detectors are scored on, and drawn on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from synthdata.detections import Detections
from synthdata.errors import DatasetError
from synthdata.formats.images import IMAGE_SUFFIXES, ImageFileError, read_rgb
from synthdata.formats.paths import files_below, sample_ids
from synthdata.formats.records import Problem
from synthdata.samples import Annotations, DetectionDataset, Sample

# Those of the report's pictures.
_COLOURS: Final = ("#ff6b57", "#35c3ff", "#ffd23e", "#4be07d", "#ff8bd8", "#b79bff", "#ffa34d",
                   "#5be5d8", "#d0e05a", "#f3f3f3")  # fmt: skip


def find_images(path: Path) -> tuple[Path, list[Path]]:
    """Return a folder and its images, at any depth and sorted, relative to it.

    Args:
        path: An image, or a folder.

    Raises:
        DatasetError: If there is no image.
    """
    if path.is_file():
        return path.parent, [Path(path.name)]
    if not path.is_dir():
        raise DatasetError(f"{path} is no image and no folder of images; name one that is there")
    found = files_below(path, Path(), IMAGE_SUFFIXES)
    if not found:
        raise DatasetError(
            f"{path} holds no image (a file ending with {', '.join(sorted(IMAGE_SUFFIXES))}); name "
            "an image, or a folder that holds some"
        )
    return path, found


def copy_images(
    folder: Path, paths: Sequence[Path], class_names: Sequence[str], out_dir: Path
) -> DetectionDataset:
    """Write images as upright RGB, lossless PNG, in their own size: as `prepare` writes them.

    Returns:
        A data set without objects in `out_dir`; its samples are in the order of `paths`.

    Raises:
        DatasetError: If an image can't be read.
    """
    out_dir.mkdir(parents=True)
    samples = []
    for sample_id, path in zip(
        sample_ids(paths),
        tqdm(paths, desc="reading images", unit="image", disable=None),
        strict=True,
    ):
        try:
            image = read_rgb(folder / path)
        except ImageFileError as error:
            problem = Problem("error", error.code, str(folder / path), None, str(error))
            raise DatasetError(str(problem)) from error
        copy = Path(f"{sample_id}.png")
        image.save(out_dir / copy, compress_level=1)
        samples.append(Sample(sample_id, copy, image.width, image.height, Annotations.empty()))
    return DetectionDataset(out_dir, tuple(class_names), tuple(samples))


def draw(image: Image.Image, found: Detections, class_names: Sequence[str]) -> None:
    """Draw boxes with class and confidence into an RGB image, the surest on top."""
    width = max(round(max(image.size) / 400), 1)
    font = ImageFont.truetype(
        Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size=max(image.height // 40, 9)
    )
    pen = ImageDraw.Draw(image)
    for index in found.confidence.argsort(kind="stable"):
        class_id = int(found.class_id[index])
        colour = _COLOURS[class_id % len(_COLOURS)]
        x, y, right, bottom = found.xyxy[index].tolist()
        pen.rectangle((x, y, max(right, x), max(bottom, y)), outline=colour, width=width)
        text = f"{class_names[class_id]} {found.confidence[index]:.2f}"
        corner = (x, max(y, font.size))
        pen.rectangle(pen.textbbox(corner, text, font, anchor="lb"), fill=colour)
        pen.text(corner, text, "black", font, anchor="lb")
