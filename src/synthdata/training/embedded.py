"""Training of the embedded pipeline from scratch, phase after phase.

crops -> autoencoder -> whitening -> decoder -> latents -> denoiser -> pipeline folder. Every
step between two phases is a function of the phase's result and the seed, so that only the
phases need checkpoints.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionControlNetPipeline
from torch import nn

from synthdata.conditioning import control_map, prompt_for
from synthdata.config.fit import DenoiserConfig, EmbeddedModel, FitConfig
from synthdata.files import replacing_dir
from synthdata.samples import DetectionDataset
from synthdata.seeding import derive_seed
from synthdata.training.autoencoder import (
    build_autoencoder,
    encode_images,
    fold_whitening,
    peak_signal_to_noise,
    reconstruction_loss,
    reconstruction_residual,
)
from synthdata.training.checkpoint import PhaseRecord, PhaseSettings, run_phase, step_generator
from synthdata.training.crops import Crops, make_crops
from synthdata.training.denoiser import (
    Denoiser,
    DenoiserData,
    build_denoiser,
    build_scheduler,
    denoising_loss,
)
from synthdata.training.grain import measure_grain
from synthdata.training.hardware import (
    Hardware,
    choose_hardware,
    peak_memory,
    reset_peak_memory,
    with_formats,
)
from synthdata.training.text import build_text_encoder, build_tokenizer, encode_prompts
from synthdata.training.weights import object_weights

_MEASURED_CROPS = 64


@dataclass
class _Fit:
    """What all phases share."""

    section: FitConfig
    model: EmbeddedModel
    hardware: Hardware
    checkpoints: Path
    records: dict[str, PhaseRecord] = field(default_factory=dict)

    def phase(
        self,
        name: str,
        module: nn.Module,
        loss_of: Callable[[torch.Generator], torch.Tensor],
        *,
        steps: int,
        learning_rate: float,
        ema_decay: float | None = None,
    ) -> None:
        """Run one phase and keep its record."""
        settings = PhaseSettings(
            name=name,
            steps=steps,
            learning_rate=learning_rate,
            checkpoint=self.checkpoints / f"{name}.pt",
            checkpoint_every_s=self.section.checkpoint_every_s,
            ema_decay=ema_decay,
            scale_loss=self.hardware.dtype == torch.float16,
        )
        seed = self.section.seed
        self.records[name] = run_phase(
            module, settings, lambda step: loss_of(step_generator(seed, name, step))
        )

    @contextmanager
    def seeded(self, purpose: str) -> Iterator[None]:
        """Seed torch's global generator, which fresh weights are drawn from, for a while."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.section.seed, "weights", purpose))
            yield


def train_pipeline(
    section: FitConfig, model: EmbeddedModel, dataset: DetectionDataset, out_dir: Path
) -> tuple[dict[str, Any], Mapping[str, PhaseRecord]]:
    """Train the models and save them as one `StableDiffusionControlNetPipeline`.

    Args:
        section: Seed, device, template and checkpoint interval.
        model: Its sizes and steps.
        dataset: The train split.
        out_dir: Gets `pipeline/`, whole or not at all, and `checkpoints/`.

    Returns:
        Metrics, and the record of each phase by its name.
    """
    reset_peak_memory()
    hardware = with_formats(
        choose_hardware(section.device), model.mixed_precision, channels_last=model.channels_last
    )
    fit = _Fit(section, model, hardware, out_dir / "checkpoints")
    tokenizer = build_tokenizer(section.prompt_template, dataset.class_names)
    crops = make_crops(dataset, model.crops, seed=section.seed)
    autoencoder = _train_autoencoder(fit, crops)
    denoiser = _train_denoiser(fit, crops, dataset, autoencoder, tokenizer)
    pipeline = StableDiffusionControlNetPipeline(
        vae=autoencoder,
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        controlnet=denoiser.controlnet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with replacing_dir(out_dir / "pipeline") as temporary:
        pipeline.save_pretrained(temporary, safe_serialization=True)
    measured = crops.images[:_MEASURED_CROPS]
    residual = reconstruction_residual(autoencoder, measured, fit.hardware)
    metrics = {
        "kind": "embedded",
        "crops": len(crops),
        "autoencoder_psnr_db": peak_signal_to_noise(residual),
        "grain": measure_grain(measured, residual).model_dump(mode="json"),
        "parameters": {
            name: sum(p.numel() for p in module.parameters())
            for name, module in [("autoencoder", autoencoder), *denoiser.named_children()]
        },
        "phases": {name: _phase_metrics(fit, name) for name in fit.records},
        **peak_memory(),
        **fit.hardware.describe(),
    }
    return metrics, fit.records


def _phase_metrics(fit: _Fit, name: str) -> dict[str, float]:
    record = fit.records[name]
    part = fit.model.denoiser if name == "denoiser" else fit.model.autoencoder
    step, loss = record.losses[-1]
    return {
        "steps": step,
        "loss": round(loss, 5),
        "elapsed_s": round(record.elapsed_s, 2),
        "images_per_s": round(step * part.batch_size / max(record.elapsed_s, 1e-9), 2),
    }


def _train_autoencoder(fit: _Fit, crops: Crops) -> Any:  # noqa: ANN401
    config = fit.model.autoencoder
    with fit.seeded("autoencoder"):
        autoencoder = build_autoencoder(config).to(
            fit.hardware.device, memory_format=fit.hardware.memory_format
        )
    images = torch.from_numpy(crops.images)

    def loss_of(generator: torch.Generator) -> torch.Tensor:
        return reconstruction_loss(
            autoencoder, images, config, hardware=fit.hardware, generator=generator
        )

    rate = config.learning_rate
    fit.phase("autoencoder", autoencoder, loss_of, steps=config.steps, learning_rate=rate)
    fold_whitening(autoencoder, crops.images, fit.hardware)
    autoencoder.encoder.requires_grad_(False)
    fit.phase("decoder", autoencoder, loss_of, steps=config.decoder_steps, learning_rate=rate / 2)
    return autoencoder


def _train_denoiser(
    fit: _Fit,
    crops: Crops,
    dataset: DetectionDataset,
    autoencoder: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
) -> Denoiser:
    config = fit.model.denoiser
    names = dataset.class_names
    with fit.seeded("denoiser"):
        denoiser = (
            build_denoiser(
                config,
                build_text_encoder(tokenizer, config.cross_attention_dim),
                latent_channels=fit.model.autoencoder.latent_channels,
                control_channels=len(names) + 1,
                sample_size=(dataset.samples[0].height // 4, dataset.samples[0].width // 4),
            )
            .to(fit.hardware.device)
            .to(memory_format=fit.hardware.memory_format)
        )
    data = make_denoiser_data(
        fit.section, config, crops, names, autoencoder=autoencoder, tokenizer=tokenizer,
        hardware=fit.hardware,
    )  # fmt: skip
    scheduler = build_scheduler()
    fit.phase(
        "denoiser",
        denoiser,
        lambda generator: denoising_loss(
            denoiser,
            data,
            config,
            scheduler=scheduler,
            hardware=fit.hardware,
            generator=generator,
        ),
        steps=config.steps,
        learning_rate=config.learning_rate,
        ema_decay=config.ema_decay or None,
    )
    return denoiser


def make_denoiser_data(  # noqa: PLR0913  # what a step needs, computed once
    section: FitConfig,
    config: DenoiserConfig,
    crops: Crops,
    class_names: Sequence[str],
    *,
    autoencoder: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    hardware: Hardware,
) -> DenoiserData:
    """Return latents, control images and prompts of the crops."""
    prompts = [prompt_for(layout, class_names, section.prompt_template) for layout in crops.layouts]
    controls = [
        np.rint(control_map(layout, len(class_names)) * 255).astype(np.uint8)
        for layout in crops.layouts
    ]
    weights = object_weights(crops.layouts, object_weight=config.object_weight, downscale=4)
    return DenoiserData(
        latents=encode_images(autoencoder, crops.images, hardware),
        controls=torch.from_numpy(np.stack(controls)),
        prompt_ids=encode_prompts(tokenizer, prompts),
        no_prompt_ids=encode_prompts(tokenizer, [""])[0],
        weights=torch.from_numpy(weights),
    )
