"""Image files of unknown origin: read their header, decode them safely, bring them upright.

An image is always taken upright, as its EXIF orientation says: that is how viewers, browsers'
labelling tools, OpenCV and ultralytics show it, and what `Sample.width` and `height` mean.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LONG_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")


class ImageFileError(ValueError):
    """An image file can't be used.

    Attributes:
        code: The kind of problem, as `Problem.code`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ImageHeader:
    """What an image's first bytes tell.

    Attributes:
        width: Upright, pixels.
        height: Upright, pixels.
        orientation: EXIF's, 1 to 8.
    """

    width: int
    height: int
    orientation: int

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) of the pixels as they lie in the file."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def read_header(path: Path) -> ImageHeader:
    """Return an image's header without decoding its pixels.

    Raises:
        ImageFileError: If it is missing, no image, or larger than PIL's limit.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
    return ImageHeader(width, height, orientation)


def read_rgb(path: Path) -> Image.Image:
    """Return the whole image, upright, as RGB.

    Palettes and grey levels become RGB, 16 bits become 8 (the upper ones), and what is
    transparent becomes white.

    Raises:
        ImageFileError: If it is missing, no image, truncated, or larger than PIL's limit.
    """
    with _opened(path) as image:
        turn = _TURNS.get(_orientation(image))
        rgb = _to_rgb(image)
        return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, of an image not yet decoded."""
    # PIL turns TIFFs itself, and would decode a whole PNG to look for EXIF data at its end.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _TURNS else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    if not path.is_file():
        raise ImageFileError(
            "image_missing", "expected an image file here, there is none; add it or drop its labels"
        )
    try:
        with warnings.catch_warnings():
            # PIL only warns between one and two times its limit; here both are refused.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            with Image.open(path, formats=_FORMATS) as image:
                yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageFileError(
            "image_too_large",
            f"expected at most {Image.MAX_IMAGE_PIXELS} pixels, the header claims more "
            "(a decompression bomb?); nothing was decoded; remove it or make it smaller",
        ) from None
    # PIL's decoders raise errors of nearly any type on damaged files.
    except Exception as error:
        raise ImageFileError(
            "image_unreadable",
            f"expected a whole JPEG, PNG, BMP, TIFF or WebP image, got: {error}; "
            "replace it or remove it",
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _LONG_MODES:
        levels = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def upright_xyxy(
    xyxy: npt.NDArray[np.float64], header: ImageHeader, declared_size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return boxes in the frame of the upright image.

    Annotation files declare the size of the frame that their boxes are drawn in. Where that
    is the stored size and not the upright one, the tool ignored the EXIF orientation, and
    the boxes turn with the pixels. Where it can't be told (YOLO declares none; turned by
    180 degrees, mirrored or square), boxes are taken to be drawn upright.

    Args:
        xyxy: `(N, 4)` pixels.
        header: Of the image.
        declared_size: (width, height) that the annotation file claims.

    Raises:
        ValueError: If the declared size is neither.
    """
    if declared_size == (header.width, header.height):
        return xyxy
    if declared_size != header.stored_size:
        raise ValueError(
            f"expected the image's size {header.width}x{header.height}, the labels say "
            f"{declared_size[0]}x{declared_size[1]}; correct the size, or export the labels anew"
        )
    x, y = xyxy[:, [0, 2]], xyxy[:, [1, 3]]
    if header.orientation in (7, 8):
        x = header.height - x
    if header.orientation in (6, 7):
        y = header.width - y
    # Orientations 5 to 8 exchange the axes.
    return np.stack([y.min(1), x.min(1), y.max(1), x.max(1)], axis=1)
