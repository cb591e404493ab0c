"""img2img and inpainting, on the tiny fitted model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from builders import write_dataset
from synthdata.boxes import FloatArray
from synthdata.config.generate import GenerateConfig
from synthdata.config.generator import GeneratorConfig
from synthdata.errors import GenerationError
from synthdata.generators import build_generator
from synthdata.generators.model import load_model
from synthdata.generators.opacity import background_opacity, object_opacity
from synthdata.generators.pools import PoolInputs, generate_pools
from synthdata.generators.real_images import read_pixels
from synthdata.generators.tasks import pipeline_for
from synthdata.layout.geometry import overlap_matrix
from synthdata.manifest import load_dataset
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
    Sample,
)
from synthdata.training.denoiser import NO_CONTROL

Fitted = tuple[Path, DetectionDataset]
KINDS = [
    pytest.param({"kind": "img2img", "strength": 0.5}, id="img2img"),
    pytest.param({"kind": "inpaint", "mode": "object"}, id="object"),
    pytest.param({"kind": "inpaint", "mode": "background"}, id="background"),
]
INPAINT = KINDS[1:]
MARGINS = {"margin": 0.1, "feather": 0.2}


def parse(values: dict[str, Any]) -> Any:
    return TypeAdapter(GeneratorConfig).validate_python(
        {"num_inference_steps": 4, "device": "cpu"} | values
    )


def requests(num: int, *, num_objects: int = 3) -> list[GenerationRequest]:
    """Layouts of small objects, for which the crowded images have room."""
    made = []
    for i in range(num):
        corner = np.random.default_rng(i).uniform(2, 30, (num_objects, 2))
        annotations = Annotations(np.hstack([corner, corner + 9]), np.arange(num_objects) % 3)
        layout = Layout(f"layout-{i}", 64, 48, annotations)
        made.append(GenerationRequest(f"image-{i}", layout, "", 100 + i))
    return made


def paint(
    fitted: Fitted, todo: list[GenerationRequest], values: dict[str, Any]
) -> list[GeneratedSample]:
    generator = build_generator(parse(values), model_dir=fitted[0], dataset=fitted[1])
    made = list(generator.generate(todo))
    assert [(m.request.sample_id, m.request.seed) for m in made] == [
        (r.sample_id, r.seed) for r in todo
    ]
    return made


def source_of(made: GeneratedSample, train: DetectionDataset) -> Sample:
    name = made.request.layout.layout_id.partition("+")[0]
    return next(sample for sample in train if sample.sample_id == name)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int)).max(axis=2)


@pytest.mark.parametrize("values", KINDS)
def test_same_request_same_bytes_other_seed_other_image(
    fitted: Fitted, values: dict[str, Any]
) -> None:
    todo = requests(2)

    once, again = paint(fitted, todo, values), paint(fitted, todo[::-1], values)[::-1]

    for a, b in zip(once, again, strict=True):
        assert np.abs(a.image.astype(int) - b.image.astype(int)).max() <= 1
        assert (a.annotations, a.request.prompt) == (b.annotations, b.request.prompt)
    assert paint(fitted, todo, values)[0].image.tobytes() == once[0].image.tobytes()
    other = paint(fitted, [replace(todo[0], seed=7)], values)[0]
    assert not np.array_equal(other.image, once[0].image)


@pytest.mark.parametrize("values", KINDS)
def test_batch_size_changes_an_image_by_at_most_one_grey_level(
    fitted: Fitted, values: dict[str, Any]
) -> None:
    todo = requests(9)
    values = values | {"num_inference_steps": 2}

    single = paint(fitted, todo, values | {"batch_size": 1})
    batched = paint(fitted, todo, values | {"batch_size": 8})

    for a, b in zip(single, batched, strict=True):
        assert a.annotations == b.annotations
        assert np.abs(a.image.astype(int) - b.image.astype(int)).max() <= 1


def test_img2img_shows_a_train_images_layout_in_new_pixels(fitted: Fitted) -> None:
    made = paint(fitted, requests(6), {"kind": "img2img", "strength": 0.5})

    for one in made:
        source = source_of(one, fitted[1])
        assert one.annotations == source.annotations
        assert one.origin == "generated"
        assert one.request.prompt.startswith("a blood smear with ")
        real = read_pixels(fitted[1].image_path(source))
        assert one.image.shape == real.shape
        assert not np.array_equal(one.image, real)
    assert len({one.request.layout.layout_id for one in made}) > 1


def test_moved_boxes_change_the_image(fitted: Fitted) -> None:
    """The prompt stays the same, so that only the control image can do it."""
    moved = replace(
        fitted[1],
        samples=tuple(
            replace(s, annotations=replace(s.annotations, xyxy=s.annotations.xyxy + 4))
            for s in fitted[1]
        ),
    )
    values = {"kind": "img2img", "strength": 0.5}

    (here,) = paint(fitted, requests(1), values)
    (there,) = paint((fitted[0], moved), requests(1), values)

    assert here.request.prompt == there.request.prompt
    assert not np.array_equal(here.image, there.image)


def test_a_low_strength_keeps_the_real_image_and_a_high_one_does_not(fitted: Fitted) -> None:
    def change(strength: float, num_inference_steps: int) -> float:
        """The mean distance from what the autoencoder alone makes of the real images."""
        values = {
            "kind": "img2img",
            "strength": strength,
            "grain": False,
            "num_inference_steps": num_inference_steps,
        }
        made = paint(fitted, requests(3), values)
        pipeline = load_model(parse(values), fitted[0], class_names=fitted[1].class_names).pipeline
        distances = []
        for one in made:
            real = read_pixels(fitted[1].image_path(source_of(one, fitted[1])))
            tensor = torch.from_numpy(real.copy()).permute(2, 0, 1)[None] / 127.5 - 1
            with torch.no_grad():
                copy = pipeline.vae(tensor).sample[0].clamp(-1, 1)
            copied = ((copy.permute(1, 2, 0) + 1) * 127.5).numpy()
            distances.append(np.abs(copied - one.image).mean())
        return float(np.mean(distances))

    low, high = change(0.01, 100), change(1.0, 4)
    assert low < 5
    assert low < high / 3


@pytest.mark.parametrize("max_overlap", [0.0, 0.3])
def test_new_objects_follow_the_real_ones_and_hardly_overlap(
    fitted: Fitted, max_overlap: float
) -> None:
    values = {"kind": "inpaint", "mode": "object", "max_overlap": max_overlap}
    todo = requests(8)

    made = paint(fitted, todo, values | {"num_objects": [1, 2]})

    for one, request in zip(made, todo, strict=True):
        real = source_of(one, fitted[1]).annotations
        num_real = len(real)
        assert one.annotations.select(np.arange(num_real)) == real
        assert one.request.layout.annotations == one.annotations
        assert one.request.layout.layout_id.endswith(f"+{request.layout.layout_id}")
        assert one.origin == "composited"
        new = one.annotations.xyxy[num_real:]
        assert 1 <= len(new) <= 2
        assert np.allclose(new[:, 2:] - new[:, :2], 9, atol=1e-4)
        overlap = overlap_matrix(new, one.annotations.xyxy)
        overlap[np.arange(len(new)), num_real + np.arange(len(new))] = 0
        assert overlap.max() <= max_overlap + 1e-6


def test_background_keeps_the_real_labels(fitted: Fitted) -> None:
    for one in paint(fitted, requests(4), {"kind": "inpaint", "mode": "background"}):
        assert one.annotations == source_of(one, fitted[1]).annotations
        assert one.origin == "composited"


@pytest.mark.parametrize("values", INPAINT)
@pytest.mark.parametrize("render_scale", [1.0, 1.3])
def test_real_pixels_stay_exactly_and_the_rest_changes(
    fitted: Fitted, values: dict[str, Any], render_scale: float
) -> None:
    options = values | MARGINS | {"render_scale": render_scale}

    for one in paint(fitted, requests(6), options):
        source = source_of(one, fitted[1])
        real = read_pixels(fitted[1].image_path(source))
        opacity = expected_opacity(values["mode"], one, len(source.annotations))
        changed = difference(one.image, real) > 0
        assert not changed[opacity == 0].any()
        assert changed[opacity == 1].mean() > 0.5
        # By their own definition too: whole pixels inside the boxes that are protected.
        protected = np.zeros(opacity.shape, bool)
        for x1, y1, x2, y2 in source.annotations.xyxy:
            protected[int(np.ceil(y1)) : int(y2), int(np.ceil(x1)) : int(x2)] = True
        assert not changed[protected].any()


def expected_opacity(mode: str, made: GeneratedSample, num_real: int) -> FloatArray:
    xyxy = made.annotations.xyxy
    if mode == "background":
        return background_opacity(xyxy, size_hw=(48, 64), **MARGINS)
    return object_opacity(xyxy[num_real:], xyxy[:num_real], size_hw=(48, 64), **MARGINS)


def test_what_is_masked_is_painted_from_noise(fitted: Fitted, tmp_path: Path) -> None:
    """With the mask the other way round the autoencoder's copy would come back for any seed."""
    train = write_dataset(tmp_path, num=1)
    bare = replace(train, samples=(replace(train.samples[0], annotations=Annotations.empty()),))
    todo = [replace(requests(1)[0], seed=seed) for seed in (1, 2)]

    one, other = paint((fitted[0], bare), todo, {"kind": "inpaint", "mode": "background"})

    assert difference(one.image, other.image).mean() > 1


def test_an_empty_layout_or_a_full_image_leaves_the_real_image(
    fitted: Fitted, tmp_path: Path
) -> None:
    values = {"kind": "inpaint", "mode": "object"}

    empty = paint(fitted, requests(2, num_objects=0), values)

    for one in empty:
        source = source_of(one, fitted[1])
        assert np.array_equal(one.image, read_pixels(fitted[1].image_path(source)))
        assert one.annotations == source.annotations
    train = write_dataset(tmp_path, num=1)
    whole = Annotations(np.array([[0, 0, 64, 48]], np.float32), np.array([1]))
    full = replace(train, samples=(replace(train.samples[0], annotations=whole),))
    (made,) = paint((fitted[0], full), requests(1), values)
    assert np.array_equal(made.image, read_pixels(full.image_path(full.samples[0])))
    assert made.annotations == whole


def test_sizes_that_pipelines_refuse_and_mixed_sizes_keep_their_order(
    fitted: Fitted, tmp_path: Path
) -> None:
    odd = write_dataset(tmp_path, num=2, size=(61, 45), prefix="odd")
    even = fitted[1]
    samples = [replace(s, path=d.image_path(s).absolute()) for d in (odd, even) for s in d]
    mixed = replace(even, samples=tuple(samples))

    made = paint((fitted[0], mixed), requests(8), {"kind": "inpaint", "mode": "background"})

    shapes = [one.image.shape[:2] for one in made]
    assert {(45, 61), (48, 64)} == set(shapes)
    for one in made:
        source = source_of(one, mixed)
        assert one.image.shape[:2] == (source.height, source.width)


# diffusers hands numpy a tensor whose `__array__` is older than numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers")
@pytest.mark.parametrize("values", KINDS[:2])
@pytest.mark.parametrize("scheduler", ["own", "ddim", "dpmsolver++", "unipc"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_each_sampler_runs(
    fitted: Fitted, values: dict[str, Any], scheduler: str, strength: float
) -> None:
    options = values | {"scheduler": scheduler, "strength": strength}

    (made,) = paint(fitted, requests(1), options)

    real = read_pixels(fitted[1].image_path(source_of(made, fitted[1])))
    assert not np.array_equal(made.image, real)


@pytest.mark.parametrize("values", KINDS)
def test_guidance_acts_on_the_layout(fitted: Fitted, values: dict[str, Any]) -> None:
    model = load_model(parse(values), fitted[0], class_names=fitted[1].class_names)
    converted = pipeline_for(values["kind"], model.pipeline, embedded=True)
    control = torch.rand(1, 4, 48, 64)
    options: dict[str, Any] = {
        "width": 64, "height": 48, "batch_size": 1, "num_images_per_prompt": 1,
        "device": "cpu", "dtype": torch.float32,
    }  # fmt: skip
    if values["kind"] == "inpaint":
        options |= {"crops_coords": None, "resize_mode": "default"}

    both = converted.prepare_control_image(
        image=control, do_classifier_free_guidance=True, **options
    )

    assert (both[0] == NO_CONTROL).all()
    assert torch.equal(both[1], control[0])
    assert converted.unet is model.pipeline.unet, "shared, not copied"
    assert not np.array_equal(
        *(paint(fitted, requests(1), values | {"guidance_scale": g})[0].image for g in (1.0, 3.0))
    )


def test_pools_of_these_kinds_say_what_was_shown(fitted: Fitted, tmp_path: Path) -> None:
    pools = {
        name: {
            "kind": "generator",
            "generator": {"kind": kind, "num_inference_steps": 2, "device": "cpu"},
        }
        for name, kind in (("synthetic", "inpaint"), ("other", "img2img"))
    }
    section = GenerateConfig.model_validate({"seed": 5, "pools": pools, "shard_size": 2})
    layouts = [request.layout for request in requests(3)]
    nothing = replace(fitted[1], samples=())

    generate_pools(
        section, PoolInputs(fitted[1], nothing, {0.0: layouts}, fitted[0]), out_dir=tmp_path
    )

    made = load_dataset(tmp_path)
    assert [sample.sample_id for sample in made] == [
        f"{pool}-layout-{i}" for pool in ("synthetic", "other") for i in range(3)
    ]
    real_ids = {sample.sample_id for sample in fitted[1]}
    for sample in made:
        real_id, _, layout_id = sample.layout_id.partition("+")
        assert real_id in real_ids
        inpainted = sample.pool == "synthetic"
        assert sample.origin == ("composited" if inpainted else "generated")
        assert layout_id == (sample.sample_id.removeprefix("synthetic-") if inpainted else "")
        counts = sample.annotations.counts(3)
        for count, name in zip(counts, fitted[1].class_names, strict=True):
            assert (f"{count} {name}" in sample.prompt) == bool(count)


@pytest.mark.parametrize("values", KINDS)
def test_no_train_image_is_an_error(fitted: Fitted, values: dict[str, Any]) -> None:
    empty = replace(fitted[1], samples=())
    with pytest.raises(GenerationError, match="starts from real train images"):
        build_generator(parse(values), model_dir=fitted[0], dataset=empty)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "img2img", "strength": 0}, "greater than 0"),
        ({"kind": "img2img", "strength": 1.1}, "less than or equal to 1"),
        ({"kind": "img2img", "strength": 0.2}, "at least 1, so that a step is left.*4 x 0.2"),
        ({"kind": "inpaint", "mode": "foreground"}, "'object' or 'background'"),
        ({"kind": "inpaint", "num_objects": [3, 1]}, "smallest, largest"),
        ({"kind": "inpaint", "margin": -0.1}, "greater than or equal to 0"),
        ({"kind": "img2img", "margin": 0.1}, "Extra inputs"),
    ],
)
def test_config_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(values)
