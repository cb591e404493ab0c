"""From records to a data set: which boxes are sound, and what else stands in the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthdata import boxes
from synthdata.errors import DatasetError
from synthdata.formats.paths import sample_ids
from synthdata.formats.records import Problem, RawDataset, RawImage, describe, errors_in
from synthdata.samples import Annotations, DetectionDataset, Sample

# Exporters round: a box may stand over the edge by less than this, and is cut there.
_TOLERANCE_PX = 0.5
_SMALLEST_PX = 1.01
BOX_CODES = frozenset({"box_outside", "box_too_small", "box_not_finite"})
_ADVICE = "correct it, delete it, or set `repair` beside its source to drop it"


def box_problems(image: RawImage) -> Iterator[tuple[int, Problem]]:
    """Yield the position of each box that can't be used, and why.

    Without a readable header only NaN and infinity are found.
    """
    for index, (xyxy, line) in enumerate(zip(image.xyxy, image.lines, strict=True)):
        found = _box_problem(xyxy.tolist(), image)
        if found is not None:
            code, message = found
            yield (
                index,
                Problem("error", code, image.label_file, line, f"{message}; {_ADVICE}"),
            )


def _box_problem(xyxy: list[float], image: RawImage) -> tuple[str, str] | None:
    text = ", ".join(f"{value:g}" for value in xyxy)
    if not np.isfinite(xyxy).all():
        return "box_not_finite", f"expected a box of finite numbers, got ({text}) px"
    if image.header is None:
        return None
    width, height = xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]
    if width <= _SMALLEST_PX or height <= _SMALLEST_PX:
        return (
            "box_too_small",
            f"expected a box of more than one pixel in each direction, got ({text}) px, which "
            f"is {width:g} by {height:g}",
        )
    limits = (image.header.width, image.header.height)
    if min(xyxy[:2]) < -_TOLERANCE_PX or any(
        value > limit + _TOLERANCE_PX for value, limit in zip(xyxy[2:], limits, strict=True)
    ):
        return (
            "box_outside",
            f"expected a box inside the image of {limits[0]}x{limits[1]} px, got ({text}) px",
        )
    return None


def record_problems(raw: RawDataset) -> list[Problem]:
    """Return what parsing found and every box that can't be used, by file and line."""
    found = [problem for image in raw.images for _, problem in box_problems(image)]
    return sorted([*raw.problems, *found], key=lambda p: (p.file, p.line or 0, p.code))


def raise_for(problems: list[Problem], root: Path) -> None:
    """Raise if there are errors among the problems.

    Raises:
        DatasetError: With the first errors.
    """
    errors = errors_in(problems)
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        raise DatasetError(f"{root} has {len(errors)} {noun}:\n{describe(errors)}")


def assemble(raw: RawDataset, *, drop_bad_boxes: bool = False) -> DetectionDataset:
    """Return the data set that the records describe.

    Boxes that stand over the image's edge by less than half a pixel are cut there.

    Args:
        raw: What a parser read.
        drop_bad_boxes: Leave out the boxes that can't be used, instead of raising.

    Raises:
        DatasetError: With every error, boxes included unless they are dropped.
    """
    problems = raw.problems if drop_bad_boxes else record_problems(raw)
    raise_for(problems, raw.root)
    ids = sample_ids([image.path for image in raw.images])
    samples = tuple(_sample(i, image) for i, image in zip(ids, raw.images, strict=True))
    return DetectionDataset(raw.root, raw.class_names, samples)


def _sample(sample_id: str, image: RawImage) -> Sample:
    if image.header is None:
        raise ValueError(f"{image.path} has no header, yet no error was noted")
    bad = [index for index, _ in box_problems(image)]
    width, height = image.header.width, image.header.height
    xyxy = np.delete(image.xyxy, bad, axis=0).astype(np.float32)
    return Sample(
        sample_id=sample_id,
        path=image.path,
        width=width,
        height=height,
        annotations=Annotations(
            xyxy=boxes.clip(xyxy, width=width, height=height),
            class_id=np.delete(image.class_id, bad),
        ),
        split=image.split,
    )
