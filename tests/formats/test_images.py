from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from synthdata.formats.images import ImageFileError, read_header, read_rgb, upright_xyxy


def save_with_orientation(path: Path, pixels: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_and_their_boxes_come_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:12, 10:30] = 255  # the object, in the stored frame
    path = tmp_path / f"image.{suffix}"
    if suffix == "webp":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray(pixels).save(path, exif=exif, lossless=True)
    else:
        save_with_orientation(path, pixels, orientation)
    header, image = read_header(path), np.asarray(read_rgb(path))
    assert (header.height, header.width) == image.shape[:2]
    assert image.shape[:2] == ((60, 40) if orientation >= 5 else (40, 60))
    if orientation >= 5 and suffix != "tif":
        # A tool that ignored the orientation drew this box.
        box = upright_xyxy(np.array([[10.0, 4.0, 30.0, 12.0]]), header, (60, 40))[0].astype(int)
        expected = np.zeros_like(image)
        expected[box[1] : box[3], box[0] : box[2]] = 255
        np.testing.assert_array_equal(image, expected)


def test_a_declared_size_that_fits_neither_frame_is_refused(tmp_path: Path) -> None:
    save_with_orientation(tmp_path / "a.png", np.zeros((40, 60, 3), np.uint8), 6)
    header = read_header(tmp_path / "a.png")
    with pytest.raises(ValueError, match="expected the image's size 40x60, the labels say 61x40"):
        upright_xyxy(np.zeros((0, 4)), header, (61, 40))


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        pytest.param("L", 77, (77, 77, 77), id="grey"),
        pytest.param("1", 1, (255, 255, 255), id="bilevel"),
        pytest.param("RGBA", (10, 20, 30, 0), (255, 255, 255), id="transparent is white"),
        pytest.param("RGBA", (10, 20, 30, 255), (10, 20, 30), id="opaque"),
        pytest.param("LA", (50, 255), (50, 50, 50), id="grey with alpha"),
        pytest.param("P", 0, (0, 0, 0), id="palette"),
        pytest.param("I;16", 0x4D12, (0x4D, 0x4D, 0x4D), id="16 bits"),
    ],
)
def test_all_kinds_of_pixels_become_rgb(
    tmp_path: Path, mode: str, colour: object, expected: tuple[int, int, int]
) -> None:
    Image.new(mode, (4, 3), colour).save(tmp_path / "a.png")
    image = read_rgb(tmp_path / "a.png")
    assert image.mode == "RGB"
    assert image.size == (4, 3)
    assert image.getpixel((1, 1)) == expected


def test_a_palette_with_transparency_gives_no_warning(tmp_path: Path) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.save(tmp_path / "a.png", transparency=bytes([255, 0]))
    assert read_rgb(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "image_unreadable", id="empty"),
        pytest.param(b"hello", "image_unreadable", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "image_unreadable", id="a program"),
        pytest.param(None, "image_missing", id="none"),
    ],
)
def test_what_is_no_image(tmp_path: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    for read in (read_header, read_rgb):
        with pytest.raises(ImageFileError) as raised:
            read(tmp_path / "a.png")
        assert raised.value.code == code
