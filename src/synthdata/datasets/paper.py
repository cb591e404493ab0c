"""What makes a digits scene look photographed: paper, ink, light and camera.

Pure functions of a random generator; images are `(H, W, 3)` float32 in [0, 1], ink masks
`(H, W)` float32 in [0, 1]. What is written, and where, belongs to `digits`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from synthdata.config.sources import InkName, PaperName

FloatImage = npt.NDArray[np.float32]

_Range = tuple[float, float]
_Colours = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Paper:
    """A kind of paper; strengths are standard deviations of the brightness, in [0, 1].

    Attributes:
        colours: One is taken a sheet.
        grain: Range of the strength of the finest unevenness.
        fibres: Of short horizontal fibres.
        blotches: Of large soft patches.
        num_flecks: Range of the number of dark and light specks a sheet, as in recycled paper.
    """

    colours: _Colours
    grain: _Range
    fibres: _Range
    blotches: _Range
    num_flecks: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Ink:
    """A kind of pen.

    Attributes:
        colours: One is taken a pen.
        contrast: Range of how much of the paper it covers; 1 hides it.
        unevenness: Standard deviation of the cover within a stroke.
    """

    colours: _Colours
    contrast: _Range
    unevenness: float


PAPERS: Mapping[PaperName, Paper] = {
    "office": Paper(
        colours=(
            (246, 243, 236), (238, 232, 214), (226, 228, 230), (240, 240, 244), (214, 196, 164),
        ),
        grain=(0.006, 0.014), fibres=(0.004, 0.012), blotches=(0.006, 0.018),
    ),
    "kraft": Paper(
        colours=((178, 140, 98), (160, 124, 88), (150, 126, 100), (186, 152, 112)),
        grain=(0.012, 0.024), fibres=(0.02, 0.035), blotches=(0.012, 0.03), num_flecks=(25, 60),
    ),
}  # fmt: skip
INKS: Mapping[InkName, Ink] = {
    "pen": Ink(
        colours=(
            (24, 26, 34), (28, 44, 120), (40, 78, 168), (74, 76, 82), (150, 36, 44), (28, 92, 66),
        ),
        contrast=(0.55, 1.0), unevenness=0.09,
    ),
    "pencil": Ink(
        colours=((62, 62, 66), (78, 78, 82), (50, 52, 58)), contrast=(0.4, 0.75), unevenness=0.3
    ),
}  # fmt: skip


def blank_paper(
    rng: np.random.Generator, *, width: int, height: int, kind: PaperName = "office"
) -> FloatImage:
    """Return plain, ruled or squared paper with fibres, evenly lit."""
    sheet = PAPERS[kind]
    colour = np.array(sheet.colours[rng.integers(len(sheet.colours))], np.float32) / 255
    paper = np.ones((height, width, 3), np.float32) * colour
    lines = _lines(rng, width=width, height=height)[..., None]
    paper = paper * (1 - lines) + np.array([0.45, 0.58, 0.76], np.float32) * lines
    grain = _noise(rng, (height, width), 0.6) * rng.uniform(*sheet.grain)
    fibres = _noise(rng, (height, width), (0.6, 2.5)) * rng.uniform(*sheet.fibres)
    blotches = _noise(rng, (height, width), 9.0) * rng.uniform(*sheet.blotches)
    paper = paper + (grain + fibres + blotches)[..., None]
    if sheet.num_flecks[1]:
        paper = paper + _flecks(rng, (height, width), sheet.num_flecks)[..., None]
    return np.asarray(paper, np.float32)


def _flecks(
    rng: np.random.Generator, shape: tuple[int, int], num_flecks: tuple[int, int]
) -> FloatImage:
    """Return specks of one or two pixels, darker or lighter than the sheet, to be added to it."""
    number = int(rng.integers(num_flecks[0], num_flecks[1] + 1))
    specks = np.zeros(shape, np.float32)
    places = rng.integers(0, shape[0], number), rng.integers(0, shape[1], number)
    specks[places] = rng.normal(-0.3, 0.6, number)
    return np.asarray(ndimage.gaussian_filter(specks, (0.5, 0.8), mode="wrap"), np.float32)


def _lines(rng: np.random.Generator, *, width: int, height: int) -> FloatImage:
    """Return the mask of printed lines: none on half of the papers."""
    kind = rng.choice(["plain", "ruled", "squared"], p=[0.5, 0.3, 0.2])
    spacing, phase = rng.uniform(14, 26), rng.uniform(0, 26)
    angle, strength = np.deg2rad(rng.uniform(-4, 4)), rng.uniform(0.25, 0.6)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    down = (y * np.cos(angle) + x * np.sin(angle) + phase) % spacing
    across = (x * np.cos(angle) - y * np.sin(angle) + phase) % spacing
    if kind == "plain":
        return np.zeros((height, width), np.float32)
    mask = np.clip(1 - np.abs(down - 1), 0, 1)
    if kind == "squared":
        mask = np.maximum(mask, np.clip(1 - np.abs(across - 1), 0, 1))
    return np.asarray(mask * strength, np.float32)


def ink_colour(rng: np.random.Generator, kind: InkName = "pen") -> FloatImage:
    """Return a pen's `(3,)` colour in [0, 1], slightly different each time."""
    colours = INKS[kind].colours
    colour = np.array(colours[rng.integers(len(colours))], np.float32)
    return np.asarray(np.clip(colour + rng.normal(0, 8, 3), 0, 255) / 255, np.float32)


def ink_contrast(rng: np.random.Generator, kind: InkName = "pen") -> float:
    """Return how much of the paper a pen covers, in (0, 1]."""
    return float(rng.uniform(*INKS[kind].contrast))


def write(
    paper: FloatImage,
    mask: FloatImage,
    colour: FloatImage,
    contrast: float,
    *,
    rng: np.random.Generator,
    kind: InkName = "pen",
) -> FloatImage:
    """Return the paper with ink where `mask` is, unevenly laid as a pen does.

    Args:
        paper: `(H, W, 3)`.
        mask: `(H, W)`, how much of each pixel the stroke covers.
        colour: `(3,)`.
        contrast: In (0, 1]; below 1 the paper shines through.
        rng: Makes the unevenness.
        kind: Of ink; tells how uneven.
    """
    density = np.clip(1 + INKS[kind].unevenness * _noise(rng, mask.shape, 1.2), 0.6, 1.1)
    cover = np.clip(mask * contrast * density, 0, 1)[..., None].astype(np.float32)
    return np.asarray(paper * (1 - cover) + colour * cover, np.float32)


def photograph(rng: np.random.Generator, scene: FloatImage) -> npt.NDArray[np.uint8]:
    """Return the scene as a camera saw it: lit from one side, slightly soft, with noise."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    across = x * np.cos(direction) + y * np.sin(direction)
    light = rng.uniform(0.78, 1.0) + rng.uniform(0.03, 0.16) * across
    light -= rng.uniform(0, 0.06) * (x**2 + y**2)
    if rng.random() < 0.3:  # the soft edge of a shadow, a hand's or the phone's
        edge = x * np.cos(direction + 1) + y * np.sin(direction + 1) - rng.uniform(-0.5, 0.9)
        light *= 1 - rng.uniform(0.1, 0.3) / (1 + np.exp(-edge * rng.uniform(4, 14)))
    tint = 1 + rng.normal(0, 0.02, 3)
    blur = rng.uniform(0.25, 0.6)
    exposed = ndimage.gaussian_filter(scene * light[..., None] * tint, (blur, blur, 0))
    grain = rng.normal(0, rng.uniform(0.006, 0.016), exposed.shape)
    return np.asarray(np.clip(np.rint((exposed + grain) * 255), 0, 255), np.uint8)


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, float]
) -> FloatImage:
    """Return smooth noise of standard deviation about 1."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray(smooth / (smooth.std() + 1e-6), np.float32)
