import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from diffusers import FluxControlNetPipeline, StableDiffusionXLControlNetPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor

from generators.test_controlnet import images, requests
from synthdata.conditioning import control_picture
from synthdata.config.fit import FitConfig
from synthdata.config.generate import ControlNetConfig
from synthdata.errors import ConfigError, GenerationError, TrainingError
from synthdata.files import read_json, write_json
from synthdata.generators import build_generator
from synthdata.generators.controlnet import ControlNetGenerator
from synthdata.manifest import load_dataset
from synthdata.samples import Annotations, DetectionDataset, Layout
from synthdata.training.card import read_card
from synthdata.training.families import Trainee, family_of
from synthdata.training.families.flux import _pack, _positions
from synthdata.training.families.sd import StableDiffusion
from synthdata.training.families.sdxl import StableDiffusionXL
from synthdata.training.fit import fit_model
from synthdata.training.lora import add_adapters
from synthdata.training.pretrained import load_scheduler
from training.tiny import tiny_config, train_split
from training.tiny_bases import BASES, save_base, sd_base, tuned

pytestmark = [
    # diffusers hands numpy a tensor whose `__array__` is older than numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers"),
    # Under autocast to bfloat16 Flux's norms keep float32 weights; torch tells that it is slower.
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),
]
Bases = dict[str, Path]

STEPS = 20
each_format = pytest.mark.parametrize("name", list(BASES))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    root = tmp_path_factory.mktemp("bases")
    return {name: save_base(build, root / name) for name, build in BASES.items()}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return train_split(tmp_path_factory.mktemp("train"))


def fit_config(base: Path, **training: Any) -> FitConfig:
    return tiny_config(model=tuned(base, **training))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = sorted(folder.rglob("*.safetensors"))
    assert found, folder
    return {f"{path.parent.name}/{k}": v for path in found for k, v in load_file(path).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.usefixtures("no_sockets")
@each_format
def test_train_save_reload_generate(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    config = fit_config(bases[name], learning_rate=3e-2)

    metrics = fit_model(config, train, tmp_path)

    card = read_card(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "controlnet", "generator.json", "losses.csv",
    ]  # fmt: skip
    assert (card.trained_controlnet, card.lora) == ("controlnet", None)
    assert metrics["phases"]["finetune"]["steps"] == 2
    assert np.isfinite(metrics["phases"]["finetune"]["loss"])
    assert metrics["peak_rss_mib"] > 100
    assert {path.suffix for path in (tmp_path / "controlnet").iterdir()} == {
        ".safetensors", ".json",
    }  # fmt: skip
    # A new ControlNet is silent: only a trained one changes the image.
    options = {"scheduler": "own", "guidance_scale": 2.0}
    shown, muted = (
        images((tmp_path, train), requests(2), controlnet_conditioning_scale=scale, **options)
        for scale in (5.0, 1e-6)
    )
    assert [image.shape for image in shown] == [(48, 64, 3)] * 2
    assert all(not np.array_equal(a, b) for a, b in zip(shown, muted, strict=True))


@each_format
def test_a_trained_controlnet_shows_the_layout(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name], steps=12, learning_rate=3e-2), train, tmp_path)
    todo = requests(1)
    bare = [replace(todo[0], layout=Layout("bare", 64, 48, Annotations.empty()))]

    shown, hidden = (
        images((tmp_path, train), one, scheduler="own", controlnet_conditioning_scale=5.0)[0]
        for one in (todo, bare)
    )

    assert not np.array_equal(shown, hidden)


@each_format
def test_a_controlnet_is_shown_the_same_in_training_and_in_sampling(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name]), train, tmp_path)
    config = ControlNetConfig(
        kind="controlnet", scheduler="own", guidance_scale=1, num_inference_steps=1, device="cpu",
        mixed_precision="no",
    )  # fmt: skip
    generator = build_generator(config, model_dir=tmp_path, dataset=train)
    assert isinstance(generator, ControlNetGenerator)
    pipeline, family = generator._model.pipeline, generator._model.family
    seen: list[torch.Tensor] = []
    pipeline.controlnet.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["controlnet_cond"]), with_kwargs=True
    )
    channels = pipeline.vae.config.latent_channels
    if name == "flux":  # it draws from the posterior, which is narrow in a trained autoencoder only
        torch.nn.init.zeros_(pipeline.vae.encoder.conv_out.weight[channels:])
        torch.nn.init.constant_(pipeline.vae.encoder.conv_out.bias[channels:], -30)
    (todo,) = requests(1)

    list(generator.generate([todo]))

    picture = torch.from_numpy(control_picture(todo.layout, len(train.class_names)))[None]
    with torch.no_grad():
        batch = {
            "latents": torch.zeros(1, channels, 6, 8),
            "control": family.encode_pictures(pipeline, picture),
            **family.encode_prompts(pipeline, [todo.prompt]),
        }
        scheduler = load_scheduler(family, str(bases[name]), None)
        trainee = Trainee(getattr(pipeline, family.denoiser), pipeline.controlnet, scheduler)
        family.loss(trainee, batch, torch.Generator())
    sampled, trained = seen
    assert sampled.std() > 0.01
    # Pictures on pixels are kept in 256 steps.
    torch.testing.assert_close(sampled, trained, rtol=0, atol=0.51 / 255)


def test_a_base_with_a_feature_extractor_of_old_loads(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    """As Stable Diffusion's own folders have one, whose class transformers has no longer."""
    base = tmp_path / "base"
    shutil.copytree(bases["sd"], base)
    CLIPImageProcessor().save_pretrained(base / "feature_extractor")
    index = read_json(base / "model_index.json")
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    write_json(base / "model_index.json", index)

    fit_model(fit_config(base), train, tmp_path / "fit")

    assert images((tmp_path / "fit", train), requests(1), scheduler="own")[0].std() > 1


@each_format
def test_a_trained_controlnet_can_be_trained_further(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    fit_model(fit_config(bases[name]), train, tmp_path / "first")
    named = tuned(bases[name]) | {"controlnet": str(tmp_path / "first" / "controlnet")}

    fit_model(tiny_config(model=named), train, tmp_path / "second")

    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert first.keys() == second.keys()
    assert not same(first, second)


_KILL_EACH = """
import os, signal, sys, time
from pathlib import Path
import torch
from synthdata.config.fit import FitConfig
from synthdata.manifest import load_dataset
from synthdata.training import finetune  # once, for all the children
from synthdata.training.fit import fit_model
from synthdata.training.lora import add_adapters
train = load_dataset(Path(sys.argv[1]))
for config, out_dir in zip(sys.argv[2::2], sys.argv[3::2]):
    pid = os.fork()
    if not pid:
        fit_model(FitConfig.model_validate_json(config), train, Path(out_dir))
        os._exit(0)
    while not (Path(out_dir) / "checkpoints" / "finetune.pt").is_file():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), out_dir
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
"""


def kill_each(train: DetectionDataset, configs: dict[Path, FitConfig]) -> None:
    """Kill a training in each of the folders once it has a checkpoint."""
    arguments = [
        text for folder, config in configs.items() for text in (config.model_dump_json(), folder)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _KILL_EACH, train.root, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for folder in configs:
        assert not (folder / "generator.json").exists()
        checkpoint = torch.load(folder / "checkpoints" / "finetune.pt", weights_only=True)
        assert 0 < checkpoint["progress"]["step"] < STEPS, "killed in the middle of the training"


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    train = load_dataset(train.root)  # as the killed processes do: boxes in JSON are rounded
    configs = {name: fit_config(base, steps=STEPS) for name, base in bases.items()}
    kill_each(train, {tmp_path / name: config for name, config in configs.items()})
    for name, config in configs.items():
        fit_model(config, train, tmp_path / name)
        fit_model(config, train, tmp_path / f"{name}-undisturbed")

        resumed, undisturbed = tmp_path / name, tmp_path / f"{name}-undisturbed"
        assert same(weights(resumed), weights(undisturbed)), name
        assert (resumed / "losses.csv").read_bytes() == (undisturbed / "losses.csv").read_bytes()


def test_adapters_resume_too(train: DetectionDataset, bases: Bases, tmp_path: Path) -> None:
    """With gradient accumulation, from a checkpoint in the middle."""
    train = load_dataset(train.root)
    config = fit_config(bases["sd"], steps=STEPS, lora_rank=2, gradient_accumulation_steps=2)
    kill_each(train, {tmp_path / "killed": config})

    fit_model(config, train, tmp_path / "killed")
    fit_model(config, train, tmp_path / "undisturbed")

    assert (tmp_path / "killed" / "lora").is_dir()
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "undisturbed"))


def test_two_devices_train_as_one_that_accumulates(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    shared = {"steps": 3}
    one = fit_config(bases["sd"], gradient_accumulation_steps=2, **shared)
    two = fit_config(bases["sd"], num_processes=2, **shared)

    fit_model(one, train, tmp_path / "one")
    metrics = fit_model(two, train, tmp_path / "two")

    assert metrics["num_processes"] == 2
    alone, together = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert alone.keys() == together.keys()
    for key in alone:
        torch.testing.assert_close(alone[key], together[key], rtol=1e-4, atol=1e-6)


def test_processes_end_with_a_killed_fit_and_resume(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    train = load_dataset(train.root)
    config = fit_config(bases["sd"], steps=STEPS, num_processes=2)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    kill_each(train, {killed: config})
    job = str(killed / "checkpoints" / "job.json")
    left = [process for process in psutil.process_iter() if job in _command_line(process)]
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive

    fit_model(config, train, killed)
    metrics = fit_model(config, train, undisturbed)

    assert same(weights(killed), weights(undisturbed))
    assert metrics["peak_rss_mib"] > 100


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def test_a_failing_process_is_an_error_with_its_log(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    wild = fit_config(bases["sd"], num_processes=2, learning_rate=1e30, steps=4)

    with pytest.raises(TrainingError, match=r"(?s)job\.log.*loss of phase finetune isn't finite"):
        fit_model(wild, train, tmp_path)

    assert not (tmp_path / "generator.json").exists()


# Flux normalises in float32 what its products give in bfloat16, which torch calls slow.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@each_format
def test_bf16_and_gradient_checkpointing_change_the_weights_little(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    plain = fit_config(bases[name])
    lean = fit_config(bases[name], mixed_precision="no", gradient_checkpointing=True)
    bf16 = fit_config(bases[name], mixed_precision="bf16")

    losses = {}
    for title, config in {"plain": plain, "lean": lean, "bf16": bf16}.items():
        losses[title] = fit_model(config, train, tmp_path / title)["phases"]["finetune"]["loss"]

    expected, recomputed = weights(tmp_path / "plain"), weights(tmp_path / "lean")
    for key in expected:
        torch.testing.assert_close(expected[key], recomputed[key], rtol=1e-3, atol=1e-5)
    assert losses["bf16"] == pytest.approx(losses["plain"], rel=0.02)
    assert losses["bf16"] != losses["plain"]
    assert {tensor.dtype for tensor in weights(tmp_path / "bf16").values()} == {torch.float32}


def test_a_base_that_predicts_velocity_is_trained_on_it(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    velocity = save_base(lambda: sd_base("v_prediction"), tmp_path / "velocity")
    losses = [
        fit_model(fit_config(base), train, tmp_path / f"fit-{i}")["phases"]["finetune"]["loss"]
        for i, base in enumerate([bases["sd"], velocity])
    ]
    assert losses[0] != losses[1]

    sample = save_base(lambda: sd_base("sample"), tmp_path / "sample")
    with pytest.raises(ConfigError, match="this one predicts sample"):
        fit_model(fit_config(sample), train, tmp_path / "fit")


@each_format
def test_pickled_weights_are_refused(train: DetectionDataset, tmp_path: Path, name: str) -> None:
    base = save_base(BASES[name], tmp_path / "base", safe=False)

    with pytest.raises(GenerationError, match=r"holds pickled weights \(.*\.bin\)"):
        fit_model(fit_config(base), train, tmp_path / "fit")


def test_one_pickled_part_is_enough(bases: Bases, train: DetectionDataset, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for part in bases["sdxl"].iterdir():
        (tmp_path / "base" / part.name).symlink_to(part)
    (tmp_path / "base" / "text_encoder_2").unlink()
    whole = save_base(BASES["sdxl"], tmp_path / "pickled", safe=False)
    (tmp_path / "base" / "text_encoder_2").symlink_to(whole / "text_encoder_2")
    if not list((whole / "text_encoder_2").glob("*.bin")):
        pickle = tmp_path / "pickled" / "text_encoder_2" / "pytorch_model.bin"
        (whole / "text_encoder_2" / "model.safetensors").rename(pickle)

    with pytest.raises(GenerationError, match=r"text_encoder_2 holds pickled weights"):
        fit_model(fit_config(tmp_path / "base"), train, tmp_path / "fit")


@pytest.mark.parametrize(
    ("name", "part", "key"),
    [
        ("sd", "unet", "conv_out.weight"),
        ("sd", "vae", "decoder.conv_out.weight"),
        ("sdxl", "text_encoder_2", "text_projection.weight"),
        ("flux", "text_encoder_2", "encoder.final_layer_norm.weight"),
    ],
)
def test_incomplete_weights_are_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str, part: str, key: str
) -> None:
    """The libraries fill missing ones with random numbers and a warning."""
    base = tmp_path / "base"
    shutil.copytree(bases[name], base)
    (path,) = (base / part).glob("*.safetensors")
    tensors = load_file(path)
    tensors.pop(key)
    save_file(tensors, path, metadata={"format": "pt"})

    with pytest.raises(GenerationError, match=rf"{part} of .* lacks 1 of the weights .*{key}"):
        fit_model(fit_config(base), train, tmp_path / "out")

    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GenerationError, match=r"can't be loaded; it must be a folder"):
        fit_model(fit_config(base), train, tmp_path / "out")


def test_pickles_that_the_pipeline_does_not_load_are_left_alone(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    """Folders of SDXL hold copies of its autoencoder for other programs."""
    shutil.copytree(bases["sd"], tmp_path / "base")
    (tmp_path / "base" / "vae_decoder").mkdir()
    (tmp_path / "base" / "vae_decoder" / "openvino_model.bin").touch()
    (tmp_path / "base" / "original.ckpt").touch()

    fit_model(fit_config(tmp_path / "base"), train, tmp_path / "fit")

    assert read_card(tmp_path / "fit").trained_controlnet == "controlnet"


def test_a_flux_sampler_other_than_its_own_is_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    fit_model(fit_config(bases["flux"]), train, tmp_path)

    with pytest.raises(GenerationError, match="'ddim', which doesn't suit Flux.*to own"):
        images((tmp_path, train), requests(1), scheduler="ddim")


def test_sizes_that_a_base_does_not_take_are_refused(
    bases: Bases, train: DetectionDataset, tmp_path: Path
) -> None:
    crops = {"num_crops": 2, "size": [40, 32]}

    with pytest.raises(ConfigError, match="multiples of 16, the crops are 40x32"):
        fit_model(fit_config(bases["flux"], crops=crops), train, tmp_path)


def test_other_pipelines_are_refused() -> None:
    with pytest.raises(ConfigError, match="base is a KandinskyPipeline; expected one of Stable"):
        family_of("KandinskyPipeline")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"controlnet": None, "training": None}, "new ControlNet does nothing"),
        ({"training": {"train_controlnet": False, "lora_rank": 4}}, "new ControlNet does nothing"),
        ({"training": {"train_controlnet": False}}, "nothing is trained"),
        ({"training": {}, "controlnet_revision": "abc"}, "controlnet_revision is set but"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(model={"kind": "pretrained", "model": "org/base"} | values)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_fp16_on_a_cpu_is_refused(bases: Bases, train: DetectionDataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'fp16' but the device is cpu"):
        fit_model(fit_config(bases["sd"], mixed_precision="fp16"), train, tmp_path)


def test_flux_tokens_are_those_of_the_pipeline() -> None:
    latents = torch.randn(2, 16, 4, 6)

    expected = FluxControlNetPipeline._pack_latents(latents, 2, 16, 4, 6)
    ids = FluxControlNetPipeline._prepare_latent_image_ids(2, 2, 3, "cpu", torch.float32)

    assert torch.equal(_pack(latents), expected)
    assert torch.equal(_positions(2, 3), ids)


def test_sdxl_is_told_the_size_as_by_the_pipeline(bases: Bases) -> None:
    pipeline = StableDiffusionXLControlNetPipeline.from_pretrained(bases["sdxl"], controlnet=None)
    batch = {"control": torch.zeros(2, 3, 32, 48), "pooled_embeds": torch.zeros(2, 16)}

    conditions = StableDiffusionXL().added_conditions(batch)

    expected = pipeline._get_add_time_ids((32, 48), (0, 0), (32, 48), torch.float32, 16)
    assert torch.equal(conditions["time_ids"], expected.repeat(2, 1))


def test_adapters_without_peft_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it weren't installed

    with pytest.raises(ConfigError, match="lora_rank is 2, which needs peft"):
        add_adapters(StableDiffusion(), torch.nn.Identity(), 2)


@pytest.mark.usefixtures("no_sockets")
@each_format
def test_adapters_are_trained_saved_and_used(
    bases: Bases, train: DetectionDataset, tmp_path: Path, name: str
) -> None:
    config = fit_config(bases[name], lora_rank=2, learning_rate=3e-2)

    fit_model(config, train, tmp_path / "both")

    card = read_card(tmp_path / "both")
    assert (card.trained_controlnet, card.lora) == ("controlnet", "lora")
    adapters = load_file(tmp_path / "both" / "lora" / "pytorch_lora_weights.safetensors")
    assert all("lora" in key for key in adapters)
    assert all(tensor.abs().sum() > 0 for tensor in adapters.values()), "B starts from zero"
    made = images((tmp_path / "both", train), requests(1), scheduler="own")[0]
    (tmp_path / "both" / "lora").rename(tmp_path / "lora")
    card_path = tmp_path / "both" / "generator.json"
    card_path.write_text(card_path.read_text().replace('"lora": "lora"', '"lora": null'))
    bare = images((tmp_path / "both", train), requests(1), scheduler="own")[0]
    assert not np.array_equal(made, bare)

    # Adapters alone, beside a ControlNet that is used as it is.
    alone = tuned(bases[name], train_controlnet=False, lora_rank=2)
    alone["controlnet"] = str(tmp_path / "both" / "controlnet")
    fit_model(tiny_config(model=alone), train, tmp_path / "alone")
    assert read_card(tmp_path / "alone").trained_controlnet is None
    assert not (tmp_path / "alone" / "controlnet").exists()
    assert images((tmp_path / "alone", train), requests(1), scheduler="own")[0].std() > 1
