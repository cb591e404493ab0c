"""Which device and number format a training or a sampling uses, and what it took."""

import gc
import logging
import resource
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from synthdata.config.base import Device, MixedPrecision
from synthdata.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hardware:
    """Where tensors live and in which format products are computed.

    Attributes:
        device: Such as `cpu`.
        dtype: float32, or bfloat16 where the device multiplies it faster; float16 where it is
            asked for, or a GPU has no bfloat16.
        channels_last: Whether a pixel's channels lie side by side in memory, as oneDNN's and
            cuDNN's convolutions are fastest; else a channel's pixels do.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = True

    @property
    def memory_format(self) -> torch.memory_format:
        """How the weights and activations of convolutions lie in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a model runs."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def describe(self) -> dict[str, object]:
        """Return device, dtype, memory format and threads, for metrics."""
        return {
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "memory_format": str(self.memory_format).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """Return what `auto` stands for here.

    Raises:
        ConfigError: If `cuda` is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("device is 'cuda' but torch sees no GPU; set device to 'auto' or 'cpu'")
    return "cuda" if has_gpu and device != "cpu" else "cpu"


def choose_hardware(device: Device) -> Hardware:
    """Return the hardware to use, and log it.

    A CPU gets bfloat16 only where it has units for it (AMX, AVX512-BF16): elsewhere it is
    emulated, hundreds of times slower than float32.

    Raises:
        ConfigError: If `cuda` is asked for and there is none.
    """
    name = resolve_device(device)
    chosen = Hardware(torch.device(name), torch.bfloat16 if _has_fast_bf16(name) else torch.float32)
    if name == "cpu":
        # Denormal numbers, common near the end of a training, slow a CPU down many times.
        torch.set_flush_denormal(True)
    logger.info("computing on %s", ", ".join(f"{k} {v}" for k, v in chosen.describe().items()))
    return chosen


def with_formats(
    hardware: Hardware, mixed_precision: MixedPrecision, *, channels_last: bool
) -> Hardware:
    """Return the hardware with the number and memory format of a training or a sampling.

    Raises:
        ConfigError: If fp16 is asked for on a CPU.
    """
    on_gpu = hardware.device.type == "cuda"
    if mixed_precision == "fp16" and not on_gpu:
        raise ConfigError(
            f"mixed_precision is 'fp16' but the device is {hardware.device}, which has no units "
            "for it; set it to 'auto'"
        )
    automatic = hardware.dtype
    if on_gpu and automatic == torch.float32:
        automatic = torch.float16
    formats = {
        "auto": automatic, "no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
    }  # fmt: skip
    chosen = replace(hardware, dtype=formats[mixed_precision], channels_last=channels_last)
    if chosen != hardware:
        logger.info(
            "mixed_precision %s, channels_last %s: %s",
            mixed_precision,
            str(channels_last).lower(),
            ", ".join(f"{name} {value}" for name, value in chosen.describe().items()),
        )
    return chosen


def _has_fast_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def free_memory() -> None:
    """Give the memory of models that are no longer used back to the GPU, if there is one.

    A GPU's would be kept by this process, even while others of its own train there.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()


def reset_peak_memory() -> None:
    """Forget what was used until now: the stages of a run share one process."""
    with suppress(OSError):  # only Linux can
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Return the largest memory in MiB, resident and on the GPU, for metrics.

    Since `reset_peak_memory`; of resident memory elsewhere than on Linux since the process began.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii").splitlines()
        peak = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak /= 2**20 if sys.platform == "darwin" else 2**10
    memory = {"peak_rss_mib": round(peak, 1)}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        memory["peak_gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return memory
