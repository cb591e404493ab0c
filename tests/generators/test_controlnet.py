import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from synthdata.config.fit import AutoencoderConfig, DenoiserConfig, FitConfig
from synthdata.config.generator import ControlNetConfig
from synthdata.errors import GenerationError
from synthdata.generators import build_generator, pipelines
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.generators.model import load_model
from synthdata.samples import Annotations, DetectionDataset, GenerationRequest, Layout, UInt8Array
from synthdata.training.autoencoder import build_autoencoder
from synthdata.training.card import read_card, write_card
from synthdata.training.denoiser import NO_CONTROL, build_denoiser
from synthdata.training.fit import fit_model
from synthdata.training.grain import measure_grain
from synthdata.training.text import build_text_encoder, build_tokenizer

Fitted = tuple[Path, DetectionDataset]
NAMES = ("RBC", "WBC", "Platelets")


def requests(num: int, *, width: int = 64, height: int = 48) -> list[GenerationRequest]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(num):
        corner = rng.uniform(0, 24, (3, 2))
        annotations = Annotations(np.hstack([corner, corner + 16]), rng.integers(0, 3, 3))
        layout = Layout(f"layout-{i}", width, height, annotations)
        made.append(GenerationRequest(f"image-{i}", layout, "a blood smear with 3 RBC", 100 + i))
    return made


def images(fitted: Fitted, todo: list[GenerationRequest], **values: object) -> list[UInt8Array]:
    config = ControlNetConfig.model_validate(
        {"kind": "controlnet", "num_inference_steps": 4, "device": "cpu"} | values
    )
    generator = build_generator(config, model_dir=fitted[0], dataset=fitted[1])
    made = list(generator.generate(todo))
    assert [sample.request for sample in made] == todo
    assert all(sample.annotations == sample.request.layout.annotations for sample in made)
    assert all(sample.origin == "generated" for sample in made)
    return [sample.image for sample in made]


def test_same_request_same_bytes_other_seed_other_image(fitted: Fitted) -> None:
    todo = requests(2)

    once, again = images(fitted, todo), images(fitted, todo)

    assert all(a.tobytes() == b.tobytes() for a, b in zip(once, again, strict=True))
    assert once[0].shape == (48, 64, 3)
    assert once[0].dtype == np.uint8
    other = [GenerationRequest(todo[0].sample_id, todo[0].layout, todo[0].prompt, todo[0].seed + 1)]
    assert not np.array_equal(images(fitted, other)[0], once[0])


def test_batch_size_and_company_change_an_image_by_at_most_one_grey_level(fitted: Fitted) -> None:
    todo = requests(9)

    single = images(fitted, todo, batch_size=1)
    batched = images(fitted, todo, batch_size=8)

    for a, b in zip(single, batched, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_in_bf16_an_image_does_not_depend_on_others_either(fitted: Fitted) -> None:
    todo = requests(3)
    options = {"mixed_precision": "bf16", "num_inference_steps": 8}

    (alone,) = images(fitted, todo[2:], batch_size=1, **options)
    among = images(fitted, todo, batch_size=3, **options)

    assert len(among) == 3
    assert np.abs(alone.astype(int) - among[2].astype(int)).max() <= 1
    exact = images(fitted, todo, mixed_precision="no", num_inference_steps=8)[2].astype(int)
    assert 0 < np.abs(among[2] - exact).mean() < 8, "another rounding, the same image"


def test_in_bf16_the_decoder_makes_pixels_of_float32(fitted: Fitted) -> None:
    latents = torch.randn(2, 4, 12, 16, generator=torch.Generator().manual_seed(0))
    made = {}
    for precision in ("no", "bf16"):
        config = ControlNetConfig.model_validate(
            {"kind": "controlnet", "device": "cpu", "mixed_precision": precision}
        )
        vae = load_model(config, fitted[0], class_names=NAMES).pipeline.vae
        with torch.no_grad():
            made[precision] = vae.decode(latents).sample

    assert made["bf16"].dtype == torch.float32
    error = (made["bf16"] - made["no"]).abs() * 127.5
    assert 0 < error.mean() < 1, "grey levels"
    assert not torch.equal(made["bf16"].bfloat16().float(), made["bf16"]), "of its last product"


def test_images_get_the_grain_that_fit_measured(fitted: Fitted) -> None:
    todo = requests(4)
    grain = read_card(fitted[0]).grain

    grained, smooth = (np.stack(images(fitted, todo, grain=on)) for on in (True, False))

    assert grain is not None
    left = measure_grain(grained, grained - smooth.astype(float))
    np.testing.assert_allclose(left.covariance, grain.covariance, atol=0.3)
    assert np.mean(left.strength) == pytest.approx(np.mean(grain.strength), rel=0.3)


def test_a_model_without_the_grain_that_is_asked_for_is_an_error(
    fitted: Fitted, tmp_path: Path
) -> None:
    shutil.copytree(fitted[0], tmp_path / "old")
    write_card(tmp_path / "old", read_card(fitted[0]).model_copy(update={"grain": None}))
    old = (tmp_path / "old", fitted[1])

    with pytest.raises(GenerationError, match="fitted before fit measured grain; delete"):
        images(old, requests(1), grain=True)

    assert np.array_equal(
        images(old, requests(1), grain=False)[0], images(fitted, requests(1), grain=False)[0]
    )


def test_the_layout_changes_the_image_and_guidance_acts_on_the_layout(fitted: Fitted) -> None:
    todo = requests(1)
    bare = [
        GenerationRequest(
            r.sample_id, Layout("bare", 64, 48, Annotations.empty()), r.prompt, r.seed
        )
        for r in todo
    ]

    assert not np.array_equal(images(fitted, todo)[0], images(fitted, bare)[0])
    plain, guided = (images(fitted, todo, guidance_scale=g)[0] for g in (1.0, 3.0))
    assert not np.array_equal(plain, guided)
    config = ControlNetConfig.model_validate({"kind": "controlnet", "device": "cpu"})
    pipeline = load_model(config, fitted[0], class_names=NAMES).pipeline
    control = torch.rand(1, len(NAMES) + 1, 48, 64)
    both = pipeline.prepare_image(
        control, 64, 48, batch_size=1, num_images_per_prompt=1, device="cpu", dtype=torch.float32,
        do_classifier_free_guidance=True,
    )  # fmt: skip
    assert (both[0] == NO_CONTROL).all(), "the unconditional branch sees no layout"
    assert torch.equal(both[1], control[0])


def test_sizes_that_pipelines_refuse_are_made_larger_and_cut(fitted: Fitted) -> None:
    mixed = [*requests(1, width=61, height=45), *requests(1), *requests(1, width=61, height=45)]

    shapes = [image.shape for image in images(fitted, mixed)]

    assert shapes == [(45, 61, 3), (48, 64, 3), (45, 61, 3)]


# diffusers hands numpy a tensor whose `__array__` is older than numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers")
@pytest.mark.parametrize("scheduler", ["own", "ddim", "dpmsolver++", "unipc"])
def test_each_sampler_runs(fitted: Fitted, scheduler: str) -> None:
    image = images(fitted, requests(1), scheduler=scheduler)[0]

    assert image.std() > 1


def test_other_classes_than_the_models_are_an_error(fitted: Fitted) -> None:
    config = ControlNetConfig(kind="controlnet", device="cpu")

    with pytest.raises(GenerationError, match=r"fitted for classes \['RBC'.*run fit again"):
        ControlNetGenerator(config, fitted[0], class_names=("cat",))


def test_a_folder_without_a_model_is_an_error(fitted: Fitted, tmp_path: Path) -> None:
    config = ControlNetConfig(kind="controlnet", device="cpu")

    with pytest.raises(GenerationError, match=r"must hold generator\.json.*run fit first"):
        build_generator(config, model_dir=tmp_path, dataset=fitted[1])
    (tmp_path / "generator.json").write_text("{}")
    with pytest.raises(GenerationError, match="isn't a generator card; run fit again"):
        build_generator(config, model_dir=tmp_path, dataset=fitted[1])


def save_pretrained(root: Path, *, safe: bool) -> FitConfig:
    """Write a base pipeline and a ControlNet with a three-channel picture, untrained."""
    tokenizer = build_tokenizer("a photo with {objects}", NAMES)
    denoiser = build_denoiser(
        DenoiserConfig(block_out_channels=(16, 24), cross_attention_dim=16),
        build_text_encoder(tokenizer, 16),
        latent_channels=4,
        control_channels=3,
        sample_size=(24, 32),
    )
    StableDiffusionPipeline(
        vae=build_autoencoder(AutoencoderConfig(channels=8)),
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(root / "base", safe_serialization=safe)
    denoiser.controlnet.save_pretrained(root / "control", safe_serialization=safe)
    model = {
        "kind": "pretrained", "model": str(root / "base"), "controlnet": str(root / "control"),
    }  # fmt: skip
    return FitConfig.model_validate({"model": model})


def test_a_pretrained_base_and_controlnet_are_used_as_they_are(
    fitted: Fitted, tmp_path: Path
) -> None:
    fit_model(save_pretrained(tmp_path, safe=True), fitted[1], tmp_path / "fit")

    made = images((tmp_path / "fit", fitted[1]), requests(2), render_scale=1.5)

    assert [image.shape for image in made] == [(48, 64, 3)] * 2


def test_pickled_weights_are_refused(fitted: Fitted, tmp_path: Path) -> None:
    fit_model(save_pretrained(tmp_path, safe=False), fitted[1], tmp_path / "fit")
    assert list((tmp_path / "base").rglob("*.bin"))

    with pytest.raises(GenerationError, match=r"holds pickled weights.*expected safetensors"):
        images((tmp_path / "fit", fitted[1]), requests(1))


def test_a_single_file_of_weights_is_refused(fitted: Fitted, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.touch()
    model = {"kind": "pretrained", "model": str(checkpoint), "controlnet": "org/control"}
    fit_model(FitConfig.model_validate({"model": model}), fitted[1], tmp_path / "fit")

    with pytest.raises(GenerationError, match=r"model\.ckpt is a file; expected a folder"):
        images((tmp_path / "fit", fitted[1]), requests(1))


def test_a_picture_is_embedded_once_not_in_every_step(fitted: Fitted) -> None:
    config = ControlNetConfig(kind="controlnet", device="cpu", num_inference_steps=4)
    generator = ControlNetGenerator(config, fitted[0], class_names=NAMES)
    embedding = generator._model.pipeline.controlnet.controlnet_cond_embedding
    calls: list[object] = []
    embedding.conv_in.register_forward_hook(lambda *_: calls.append(None))

    for _ in range(2):
        list(generator.generate(requests(1)))

    assert len(calls) == 2


def test_a_picture_is_embedded_once_for_each_side_of_an_interval(fitted: Fitted) -> None:
    config = ControlNetConfig(
        kind="controlnet", device="cpu", num_inference_steps=8, guidance_scale=3.0,
        guidance_start=0.25, guidance_end=0.5,
    )  # fmt: skip
    generator = ControlNetGenerator(config, fitted[0], class_names=NAMES)
    embedding = generator._model.pipeline.controlnet.controlnet_cond_embedding
    calls: list[object] = []
    embedding.conv_in.register_forward_hook(lambda *_: calls.append(None))

    list(generator.generate(requests(1)))

    assert len(calls) == 3, "alone, with its twin, alone"


def test_weights_held_in_bf16_make_the_images_that_weights_cast_in_every_call_make(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> tuple[torch.dtype, list[bytes]]:
        config = ControlNetConfig(
            kind="controlnet", device="cpu", mixed_precision="bf16", num_inference_steps=2
        )
        generator = ControlNetGenerator(config, fitted[0], class_names=NAMES)
        dtype = generator._model.pipeline.unet.conv_in.weight.dtype
        return dtype, [sample.image.tobytes() for sample in generator.generate(requests(2))]

    dtype, held = made()
    assert dtype == torch.bfloat16
    monkeypatch.setattr(pipelines, "_cast_once", lambda *_, **__: None)
    assert made() == (torch.float32, held)
