"""Fine-tuning of a pretrained base on the train split: its ControlNet, LoRA adapters, or both.

The crops are encoded once; the training then holds the denoiser and the ControlNet only. Its
checkpoints hold what is trained, nothing of the frozen base. On several devices `torchrun`
starts one process each; together they train as one device does that accumulates as much.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthdata.config.fit import FineTuneConfig, FitConfig, PretrainedModel
from synthdata.errors import ConfigError
from synthdata.files import replacing_dir, write_json
from synthdata.samples import DetectionDataset
from synthdata.seeding import derive_seed
from synthdata.training.checkpoint import PhaseRecord, PhaseSettings, run_phase, step_generator
from synthdata.training.examples import Examples, make_examples
from synthdata.training.families import Family, Trainee
from synthdata.training.hardware import (
    Hardware,
    choose_hardware,
    free_memory,
    peak_memory,
    reset_peak_memory,
    with_formats,
)
from synthdata.training.lora import add_adapters, save_adapters
from synthdata.training.pretrained import (
    load_controlnet,
    load_denoiser,
    load_family,
    load_scheduler,
    quiet_diffusers,
)
from synthdata.training.processes import ALONE, Processes, run_processes

CONTROLNET = "controlnet"
LORA = "lora"
_WORKER = "synthdata.training.finetune_worker"
_CHECKPOINTS = "checkpoints"
_EXAMPLES = "examples.safetensors"
_RESULT = "result.json"
_PHASE = "finetune"


def finetune(
    section: FitConfig, model: PretrainedModel, dataset: DetectionDataset, out_dir: Path
) -> tuple[dict[str, Any], PhaseRecord]:
    """Train what `model.training` says and save it.

    Args:
        section: Seed, device, template and checkpoint interval.
        model: The base, its ControlNet and their training.
        dataset: The train split.
        out_dir: Gets `controlnet/` and `lora/`, each whole or not at all, and `checkpoints/`.

    Returns:
        Metrics, and the record of the training.

    Raises:
        ConfigError: If the config doesn't suit the images, the base or the devices.
        GenerationError: If a pretrained part can't be loaded.
        TrainingError: If the loss isn't finite, or a process fails.
    """
    training = _training(model)
    reset_peak_memory()
    hardware = _hardware(section, training)
    _check_devices(training, hardware)
    examples = out_dir / _CHECKPOINTS / _EXAMPLES
    if not examples.is_file():
        family = load_family(model.model, model.revision)
        make_examples(section, model, dataset, family=family, hardware=hardware).save(examples)
        free_memory()
    if training.num_processes == 1:
        train(section, model, out_dir, processes=ALONE)
    else:
        job = out_dir / _CHECKPOINTS / "job.json"
        write_json(job, {"section": section.model_dump(mode="json"), "out_dir": str(out_dir)})
        run_processes(_WORKER, job, count=training.num_processes)
    result = json.loads((out_dir / _CHECKPOINTS / _RESULT).read_text(encoding="utf-8"))
    losses = [(step, loss) for step, loss in result["record"]["losses"]]
    # The encoders were in this process, which may be none of those that trained.
    memory = {
        name: max(value, result["metrics"].get(name, 0.0)) for name, value in peak_memory().items()
    }
    return result["metrics"] | memory, PhaseRecord(losses, result["record"]["elapsed_s"])


def train(
    section: FitConfig, model: PretrainedModel, out_dir: Path, *, processes: Processes
) -> None:
    """Train on the encoded crops in `out_dir`; each of the processes calls this."""
    training = _training(model)
    hardware = _hardware(section, training)
    family = load_family(model.model, model.revision)
    checkpoints = out_dir / _CHECKPOINTS
    examples = Examples.load(checkpoints / _EXAMPLES)
    trainee = _load_trainee(section, model, family, hardware)
    trained = nn.ParameterList(
        parameter
        for part in (trainee.controlnet, trainee.denoiser)
        for parameter in part.parameters()
        if parameter.requires_grad
    )
    settings = PhaseSettings(
        name=_PHASE,
        steps=training.steps,
        learning_rate=training.learning_rate,
        checkpoint=checkpoints / f"{_PHASE}.pt",
        checkpoint_every_s=section.checkpoint_every_s,
        backward_passes=training.gradient_accumulation_steps,
        scale_loss=hardware.dtype == torch.float16,
    )

    def loss_of(number: int) -> torch.Tensor:
        generator = step_generator(section.seed, _PHASE, number)
        batch = examples.batch(training, generator, hardware.device)
        with hardware.autocast():
            return family.loss(trainee, batch, generator)

    record = run_phase(trained, settings, loss_of, processes=processes)
    processes.check_equal(trained)
    memory = {name: max(processes.gather([value])) for name, value in peak_memory().items()}
    if processes.is_first:
        _save(family, trainee, training, out_dir)
        metrics = _metrics(training, record, processes) | memory | hardware.describe()
        metrics["parameters"] = {"trained": sum(p.numel() for p in trained)}
        write_json(checkpoints / _RESULT, {"metrics": metrics, "record": asdict(record)})


def _training(model: PretrainedModel) -> FineTuneConfig:
    if model.training is None:
        raise ConfigError("fit.model.training is null: there is nothing to train; set it")
    return model.training


def _hardware(section: FitConfig, training: FineTuneConfig) -> Hardware:
    return with_formats(
        choose_hardware(section.device),
        training.mixed_precision,
        channels_last=training.channels_last,
    )


def _check_devices(training: FineTuneConfig, hardware: Hardware) -> None:
    devices = torch.cuda.device_count()
    if hardware.device.type == "cuda" and training.num_processes > devices:
        raise ConfigError(
            f"num_processes is {training.num_processes} but there are {devices} GPUs; lower it"
        )


def _load_trainee(
    section: FitConfig, model: PretrainedModel, family: Family, hardware: Hardware
) -> Trainee:
    """Return the models on their device; only what is trained requires gradients."""
    training = _training(model)
    frozen_dtype = hardware.dtype if hardware.device.type == "cuda" else torch.float32
    denoiser = load_denoiser(family, model.model, model.revision, frozen_dtype)
    denoiser.requires_grad_(False)
    # Fresh weights are drawn from torch's global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(section.seed, "weights", _PHASE))
        if model.controlnet is None:
            with quiet_diffusers():
                controlnet = family.new_controlnet(denoiser).float()
        else:
            dtype = torch.float32 if training.train_controlnet else frozen_dtype
            controlnet = load_controlnet(family, model.controlnet, model.controlnet_revision, dtype)
        controlnet.requires_grad_(training.train_controlnet)
        if training.lora_rank is not None:
            add_adapters(family, denoiser, training.lora_rank)
    for part in (denoiser, controlnet):
        part.to(hardware.device, memory_format=hardware.memory_format).train()
        if training.gradient_checkpointing:
            part.enable_gradient_checkpointing()
    return Trainee(denoiser, controlnet, load_scheduler(family, model.model, model.revision))


def _save(family: Family, trainee: Trainee, training: FineTuneConfig, out_dir: Path) -> None:
    if training.train_controlnet:
        with replacing_dir(out_dir / CONTROLNET) as temporary:
            trainee.controlnet.save_pretrained(temporary, safe_serialization=True)
    if training.lora_rank is not None:
        with replacing_dir(out_dir / LORA) as temporary:
            save_adapters(family, trainee.denoiser, temporary)


def _metrics(training: FineTuneConfig, record: PhaseRecord, processes: Processes) -> dict[str, Any]:
    step, loss = record.losses[-1]
    crops = step * training.batch_size * training.gradient_accumulation_steps * processes.count
    phase = {
        "steps": step,
        "loss": round(loss, 5),
        "elapsed_s": round(record.elapsed_s, 2),
        "images_per_s": round(crops / max(record.elapsed_s, 1e-9), 2),
    }
    return {
        "crops": training.crops.num_crops,
        "num_processes": processes.count,
        "phases": {_PHASE: phase},
    }
