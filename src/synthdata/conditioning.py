"""How a layout reaches an image generator: as a control image and as a prompt.

The control image of the embedded model has one channel a class, with a soft ellipse in each
box, and one channel with the ellipses' outlines, which keeps touching objects of a class
apart. A pretrained ControlNet with three channels gets the same as a colour picture.
"""

import colorsys
from collections.abc import Sequence

import numpy as np

from synthdata.boxes import FloatArray
from synthdata.errors import GenerationError
from synthdata.samples import Layout

NO_OBJECTS = "no objects"
# Share of an ellipse's radius over which its class channel fades to 0 at the border.
_SOFTNESS = 0.35
# Width of the outline, pixels.
_EDGE_SIGMA_PX = 1.2
_MARGIN_PX = 4


def control_map(layout: Layout, num_classes: int) -> FloatArray:
    """Return the layout as class channels and an outline channel.

    Args:
        layout: Boxes in pixels of its canvas.
        num_classes: Number of class channels.

    Returns:
        `(num_classes + 1, H, W)` float32 in [0, 1]: 1 inside an object of the channel's
        class, fading to 0 at the border of its box; last, 1 on the outlines.

    Raises:
        GenerationError: If a class id has no channel.
    """
    class_id = layout.annotations.class_id
    if len(class_id) and int(class_id.max()) >= num_classes:
        raise GenerationError(
            f"layout {layout.layout_id!r} has class id {int(class_id.max())}, but there are "
            f"{num_classes} classes; use layouts of the data set that the model was fitted on"
        )
    control = np.zeros((num_classes + 1, layout.height, layout.width), np.float32)
    for box, channel in zip(layout.annotations.xyxy, class_id, strict=True):
        x0, y0 = np.maximum(np.floor(box[:2]) - _MARGIN_PX, 0).astype(int)
        x1, y1 = np.ceil(box[2:]).astype(int) + _MARGIN_PX
        window = np.s_[y0 : min(y1, layout.height), x0 : min(x1, layout.width)]
        depth, radius_px = _ellipse_depth(box, control[0][window].shape, x0=x0, y0=y0)
        inside = np.clip(depth / _SOFTNESS, 0, 1)
        edge = np.exp(-((depth * radius_px / _EDGE_SIGMA_PX) ** 2) / 2)
        np.maximum(control[channel][window], inside, out=control[channel][window])
        np.maximum(control[-1][window], edge, out=control[-1][window])
    return control


def _ellipse_depth(
    box: FloatArray, shape: tuple[int, ...], *, x0: int, y0: int
) -> tuple[FloatArray, float]:
    """Return 1 at the centre of the box's ellipse to 0 on it, and its smaller radius."""
    half = np.maximum((box[2:] - box[:2]) / 2, 0.5)
    centre = (box[2:] + box[:2]) / 2
    # Pixel i covers [i, i + 1), so that its centre is at i + 0.5.
    y = (np.arange(shape[0], dtype=np.float32) + (y0 + 0.5) - centre[1]) / half[1]
    x = (np.arange(shape[1], dtype=np.float32) + (x0 + 0.5) - centre[0]) / half[0]
    depth = 1 - np.sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    return depth.astype(np.float32), float(half.min())


def control_picture(layout: Layout, num_classes: int) -> FloatArray:
    """Return the layout as an RGB picture, for a pretrained ControlNet.

    Classes have evenly spaced hues; outlines are white and the ground is black. Where objects
    of different classes overlap, the one that is nearer to its centre is shown: a mixture would
    be a third class's colour.

    Returns:
        `(3, H, W)` float32 in [0, 1].

    Raises:
        GenerationError: If a class id is not below `num_classes`.
    """
    control = control_map(layout, num_classes)
    palette = np.array(
        [colorsys.hsv_to_rgb(i / num_classes, 0.9, 0.9) for i in range(num_classes)], np.float32
    )
    shown = control[:-1].argmax(axis=0)
    filled = palette[shown].transpose(2, 0, 1) * control[:-1].max(axis=0)
    picture: FloatArray = np.maximum(filled, control[-1]).astype(np.float32)
    return picture


def prompt_for(layout: Layout, class_names: Sequence[str], template: str) -> str:
    """Return the text that describes the layout.

    Args:
        layout: Its objects are counted.
        class_names: Class `i` is `class_names[i]`.
        template: `{objects}` becomes such as "12 RBC, 1 WBC and 2 Platelets", in the order of
            the classes; absent classes are left out.
    """
    counts = layout.annotations.counts(len(class_names))
    parts = [f"{count} {name}" for count, name in zip(counts, class_names, strict=True) if count]
    if not parts:
        return template.replace("{objects}", NO_OBJECTS)
    *head, last = parts
    text = f"{', '.join(head)} and {last}" if head else last
    return template.replace("{objects}", text)
