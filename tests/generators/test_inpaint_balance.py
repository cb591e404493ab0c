"""Inpainting of objects whose classes are balanced, on the tiny fitted model."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthdata.config.generator import InpaintConfig
from synthdata.errors import GenerationError
from synthdata.generators.inpaint import InpaintGenerator
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
)

Fitted = tuple[Path, DetectionDataset]


def with_one_rare(train: DetectionDataset) -> DetectionDataset:
    """Crowds of class 0, and one object of class 1, of a size that no other has."""
    rng = np.random.default_rng(0)
    samples = []
    for i, sample in enumerate(train):
        corner = rng.uniform([2, 2], [50, 30], (6, 2))
        xyxy, class_id = np.hstack([corner, corner + 8]), np.zeros(6, int)
        if i == 1:
            xyxy[0], class_id[0] = [48, 32, 60, 46], 1
        samples.append(replace(sample, annotations=Annotations(xyxy, class_id)))
    return replace(train, samples=tuple(samples))


def paint(fitted: Fitted, num: int, **values: Any) -> list[GeneratedSample]:
    config = InpaintConfig.model_validate(
        {"kind": "inpaint", "num_inference_steps": 1, "device": "cpu", "max_overlap": 0.3} | values
    )
    # No layout shows class 1: without a balance no new object could be one.
    empty = Layout("layout", 64, 48, Annotations([[5, 5, 13, 13]] * 3, [0] * 3))
    requests = [GenerationRequest(f"image-{i}", empty, "", i) for i in range(num)]
    return list(InpaintGenerator(config, *fitted).generate(requests))


def new_objects(fitted: Fitted, **values: Any) -> Counter[tuple[int, int]]:
    """Class and rounded width of the new objects of 24 images."""
    num_real = {sample.sample_id: len(sample.annotations) for sample in fitted[1]}
    found: Counter[tuple[int, int]] = Counter()
    for made in paint(fitted, 24, **values):
        layout_id, _, of_layout = made.request.layout.layout_id.partition("+")
        assert of_layout == ("" if "balance" in values else "layout")
        new = made.annotations.select(np.arange(num_real[layout_id], len(made.annotations)))
        assert 1 <= len(new) <= 3
        widths = np.rint(new.xyxy[:, 2] - new.xyxy[:, 0]).astype(int)
        found.update(zip(new.class_id.tolist(), widths.tolist(), strict=True))
    return found


def test_balance_brings_rare_classes_in_their_own_sizes(fitted: Fitted) -> None:
    crowd = fitted[0], with_one_rare(fitted[1])

    natural, balanced = new_objects(crowd, balance=0.0), new_objects(crowd, balance=1.0)

    assert set(natural) | set(balanced) == {(0, 8), (1, 12)}
    assert natural[1, 12] < 0.15 * natural.total()
    assert 0.25 * balanced.total() < balanced[1, 12]
    assert set(new_objects(crowd)) == {(0, 8)}, "without one, what the layout has"


def test_a_balance_needs_objects_of_a_size(fitted: Fitted) -> None:
    bare = [replace(sample, annotations=Annotations.empty()) for sample in fitted[1]]

    with pytest.raises(GenerationError, match="the 4 train images have none of at least"):
        paint((fitted[0], replace(fitted[1], samples=tuple(bare))), 1, balance=0.5)
