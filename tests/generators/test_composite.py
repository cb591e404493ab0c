"""Pools of kind `composite`, on the tiny fitted model: a pool's images, repainted one for one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from builders import write_dataset
from synthdata import boxes
from synthdata.config.composite import CompositeConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.pools import PoolConfig, pool_order, uses_generator
from synthdata.errors import GenerationError
from synthdata.generators.composite import CompositeGenerator
from synthdata.generators.model import load_model
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.generators.real_images import read_pixels
from synthdata.manifest import load_dataset
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
)

Fitted = tuple[Path, DetectionDataset]
BASE = {"kind": "composite", "onto": "pasted", "num_inference_steps": 4, "device": "cpu"}
NOTHING_KEPT = {"keep_objects": None, "keep_detail": 0}


def parse(**values: Any) -> CompositeConfig:
    return CompositeConfig.model_validate(BASE | values)


def repaint(fitted: Fitted, below: DetectionDataset, **values: Any) -> list[GeneratedSample]:
    generator = CompositeGenerator(parse(**values), fitted[0], below=below, train=fitted[1])
    requests = [
        GenerationRequest(
            f"image-{i}", Layout(s.sample_id, s.width, s.height, s.annotations), "", 100 + i
        )
        for i, s in enumerate(below)
    ]
    return list(generator.generate(requests))


def pools_of(values: dict[str, dict[str, Any]], **section: Any) -> GenerateConfig:
    return GenerateConfig.model_validate({"seed": 5, "pools": values} | section)


def make(fitted: Fitted, section: GenerateConfig, out_dir: Path) -> DetectionDataset:
    model_dir, train = fitted
    inputs = PoolInputs(train, replace(train, samples=()), {}, model_dir)
    generate_pools(section, inputs, out_dir=out_dir)
    return load_dataset(out_dir)


def image(dataset: DetectionDataset, index: int) -> np.ndarray:
    return read_pixels(dataset.image_path(dataset.samples[index])).astype(int)


def test_each_image_of_the_pool_below_is_repainted_once_under_its_own_labels(
    fitted: Fitted, tmp_path: Path
) -> None:
    pools = {
        "pasted": {"kind": "paste", "num_images": 3},
        "copied": BASE | {"strength": 0.0} | NOTHING_KEPT,
        "repainted": BASE | NOTHING_KEPT,
        "composite": BASE,
        "more": BASE | {"num_images": 4, "strength": 0.5},
        "twin": BASE | {"onto": "real"},
    }

    made = make(fitted, pools_of(pools), tmp_path / "a")

    pasted = made.where(pool="pasted")
    for name in ("copied", "repainted", "composite", "more"):
        pool = made.where(pool=name)
        assert [s.sample_id for s in pool] == [f"{name}-layout-{i:05d}" for i in range(len(pool))]
        for i, sample in enumerate(pool):
            below = pasted.samples[i % 3]
            assert sample.annotations == below.annotations
            assert sample.layout_id == below.sample_id
            assert sample.origin == "composited"
            assert bool(sample.prompt) == (name != "copied"), "what the model was told"
            assert 0 < np.abs(image(pool, i) - image(pasted, i % 3)).mean() < 60
    assert len(made.where(pool="more")) == 4
    again = image(made.where(pool="more"), 3)
    assert not np.array_equal(image(made.where(pool="more"), 0), again), "other noise"
    assert [s.layout_id for s in made.where(pool="twin")] == [s.sample_id for s in fitted[1]]
    few = {name: pools[name] for name in ("pasted", "composite")}
    part = make(fitted, pools_of(few, shard_size=2), tmp_path / "b")
    assert {s.sha256 for s in part} <= {s.sha256 for s in made}, "same bytes in other shards"


def test_other_images_below_are_repainted_anew(fitted: Fitted, tmp_path: Path) -> None:
    def digests(**paste: Any) -> list[str]:
        pools = {"pasted": {"kind": "paste", "num_images": 2} | paste, "composite": BASE}
        return [s.sha256 for s in make(fitted, pools_of(pools), tmp_path).where(pool="composite")]

    first = digests()

    assert not set(first) & set(digests(balance=0.0, feather=0.0))
    assert digests() == first


def test_small_objects_keep_their_pixels_and_large_ones_a_part(fitted: Fitted) -> None:
    areas = np.concatenate([boxes.area(s.annotations.xyxy) for s in fitted[1]])
    small, large = np.percentile(areas, [33, 90])
    (sample,) = write_single(fitted[1], [8, 8, 8 + small**0.5, 8 + small**0.5],
                             [30, 10, 30 + large**0.5, 10 + large**0.5])  # fmt: skip
    options = {"strength": 1.0, "keep_detail": 0}

    (whole,) = repaint(fitted, sample, keep_objects=None, **options)
    (fused,) = repaint(fitted, sample, **options)

    below, painted = image(sample, 0), whole.image.astype(int)
    half = np.rint((below + painted) / 2)
    here, there = (centre(box) for box in sample.samples[0].annotations.xyxy)
    np.testing.assert_array_equal(fused.image[here], below[here])
    assert np.abs(fused.image[there] - half[there]).max() <= 1
    assert np.abs(painted[here] - below[here]).mean() > 5
    np.testing.assert_array_equal(fused.image[-3:], painted[-3:], "far from both")


def write_single(train: DetectionDataset, *xyxy: list[float]) -> tuple[DetectionDataset]:
    annotations = Annotations(np.array(xyxy, np.float32), np.arange(len(xyxy)))
    return (replace(train, samples=(replace(train.samples[0], annotations=annotations),)),)


def centre(box: np.ndarray) -> tuple[slice, slice]:
    x, y = ((box[:2] + box[2:]) / 2).astype(int)
    return slice(y - 2, y + 2), slice(x - 2, x + 2)


def test_detail_of_the_background_stays_and_its_tone_changes(fitted: Fitted) -> None:
    (sample,) = write_single(fitted[1], [40, 30, 50, 40])
    options = {"strength": 1.0, "keep_objects": None}

    (painted,) = repaint(fitted, sample, keep_detail=0, **options)
    (toned,) = repaint(fitted, sample, keep_detail=0.1, **options)

    corner = slice(0, 20), slice(0, 24)
    below = image(sample, 0)[corner].astype(float)
    left, kept = painted.image[corner].astype(float), toned.image[corner].astype(float)
    tones = [one.mean((0, 1)) for one in (below, left, kept)]
    assert np.abs(tones[1] - tones[0]).max() > 3 * np.abs(tones[1] - tones[2]).max()
    fine = [np.diff(one, axis=0).ravel() for one in (below, left, kept)]
    assert np.corrcoef(fine[0], fine[2])[0, 1] > 0.9
    assert np.corrcoef(fine[0], fine[1])[0, 1] < 0.5
    inside = slice(33, 37), slice(43, 47)
    np.testing.assert_array_equal(toned.image[inside], painted.image[inside], "the object's isn't")


def test_a_strength_of_zero_is_the_autoencoders_copy(fitted: Fitted, tmp_path: Path) -> None:
    odd = write_dataset(tmp_path, num=2, size=(61, 45), prefix="odd")
    made = repaint(fitted, odd, strength=0.0, **NOTHING_KEPT)

    vae = load_model(parse(), fitted[0], class_names=odd.class_names).pipeline.vae
    for i, one in enumerate(made):
        padded = np.pad(image(odd, i), ((0, 3), (0, 3), (0, 0)), mode="edge")
        tensor = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            copy = vae.decode(vae.encode(tensor).latents).sample[0].clamp(-1, 1)
        expected = ((copy.permute(1, 2, 0) + 1) * 127.5).round().numpy()[:45, :61]
        assert np.abs(one.image - expected).max() <= 1


def test_pools_know_what_a_composite_needs() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(dict[str, PoolConfig])
    pools = adapter.validate_python({"top": BASE, "pasted": {"kind": "paste"}})

    assert pool_order(pools, {"top"}) == ["pasted", "top"]
    assert uses_generator(pools, {"top"})
    assert not uses_generator(pools, {"pasted"})
    with pytest.raises(ValueError, match=r"pools\.top\.onto is 'pasted'"):
        pool_order({"top": pools["top"]}, {"top"})


def test_nothing_to_start_from_or_to_measure_by_is_an_error(fitted: Fitted) -> None:
    with pytest.raises(GenerationError, match="at least one image to start from, 'pasted' has"):
        repaint(fitted, replace(fitted[1], samples=()))
    bare = replace(fitted[1].samples[0], annotations=Annotations.empty())
    train = replace(fitted[1], samples=(bare,))
    with pytest.raises(GenerationError, match="the train split's, which has none"):
        repaint((fitted[0], train), fitted[1])
    (made,) = repaint((fitted[0], train), train, keep_objects=None)
    assert not len(made.annotations)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_a_half_precision_changes_little(fitted: Fitted, strength: float) -> None:
    options = {"strength": strength} | NOTHING_KEPT

    exact = repaint(fitted, fitted[1], mixed_precision="no", **options)
    half = repaint(fitted, fitted[1], mixed_precision="bf16", **options)

    for a, b in zip(exact, half, strict=True):
        assert np.abs(a.image.astype(int) - b.image.astype(int)).mean() < 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": 0.2}, "at least 1, so that a step is left.*4 x 0.2"),
        ({"keep_objects": [90, 33]}, r"\(lower, upper\) percentile"),
        ({"keep_objects": [33, 101]}, "less than or equal to 100"),
        ({"balance": 0.5}, "Extra inputs"),
    ],
)
def test_config_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(**values)
