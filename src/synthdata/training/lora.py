"""LoRA adapters of a base's attention layers, by peft (Hu et al., "LoRA: Low-Rank Adaptation")."""

from pathlib import Path
from typing import Any

from diffusers.utils import convert_state_dict_to_diffusers

from synthdata.errors import ConfigError, GenerationError
from synthdata.training.families import Family
from synthdata.training.pretrained import loading

WEIGHTS = "pytorch_lora_weights.safetensors"


def add_adapters(family: Family, denoiser: Any, rank: int) -> None:  # noqa: ANN401
    """Add untrained adapters, the only parameters of the denoiser that are trained, in float32.

    Raises:
        ConfigError: If peft isn't installed.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ConfigError(
            f"fit.model.training.lora_rank is {rank}, which needs peft; install "
            "synthdata[diffusion] again, or set lora_rank to null"
        ) from error
    denoiser.add_adapter(
        LoraConfig(
            r=rank,
            # As large as the rank, so that files need not state it.
            lora_alpha=rank,
            init_lora_weights="gaussian",
            target_modules=list(family.lora_targets),
        )
    )
    for parameter in denoiser.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def save_adapters(family: Family, denoiser: Any, folder: Path) -> None:  # noqa: ANN401
    """Write the adapters in diffusers' format."""
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(denoiser)
    if family.denoiser == "unet":  # Flux's loader expects peft's own names
        layers = convert_state_dict_to_diffusers(layers)
    family.pipeline.save_lora_weights(
        folder, **{f"{family.denoiser}_lora_layers": layers}, safe_serialization=True
    )


def load_adapters(pipeline: Any, folder: Path) -> None:  # noqa: ANN401
    """Add saved adapters to a pipeline.

    Raises:
        GenerationError: If they can't be loaded, or peft isn't installed.
    """
    try:
        import peft  # noqa: F401  # diffusers says less clearly that it is missing
    except ImportError as error:
        raise GenerationError(
            f"the adapters in {folder} need peft; install synthdata[diffusion] again"
        ) from error
    with loading(folder):
        pipeline.load_lora_weights(folder, weight_name=WEIGHTS, use_safetensors=True)
