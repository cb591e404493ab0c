"""The optimisation loop, with checkpoints from which a killed run goes on unchanged.

A checkpoint holds weights, their average, optimizer and schedule. It holds no random state,
since a step draws from a generator seeded by the step: a resumed run computes the same
weights as an undisturbed one.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from synthdata.errors import TrainingError
from synthdata.files import replacing
from synthdata.seeding import derive_seed
from synthdata.training.processes import ALONE, Processes

_LOSS_EVERY = 10
_MAX_GRADIENT_NORM = 1.0
_WEIGHT_DECAY = 1e-2
_WARMUP_SHARE = 0.2
_FEWEST_STEPS = 6  # torch's schedule divides by zero where the warm-up ends with the first step

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseSettings:
    """How a phase is optimised.

    Attributes:
        name: Such as `autoencoder` or `finetune`.
        steps: Optimizer steps.
        learning_rate: Peak of a one-cycle schedule.
        ema_decay: Of the averaged weights that the phase ends with; None keeps the last.
        checkpoint: The phase's file.
        checkpoint_every_s: Seconds between checkpoints.
        backward_passes: Losses whose gradients a step averages, in each process.
        scale_loss: Whether losses are enlarged before the backward pass, as float16 needs.
    """

    name: str
    steps: int
    learning_rate: float
    checkpoint: Path
    checkpoint_every_s: float
    ema_decay: float | None = None
    backward_passes: int = 1
    scale_loss: bool = False


@dataclass
class PhaseRecord:
    """What a phase measured.

    Attributes:
        losses: (step, mean loss of the steps since the row before).
        elapsed_s: Seconds over all runs of the phase.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    elapsed_s: float = 0.0


def step_generator(seed: int, phase: str, step: int) -> torch.Generator:
    """Return the randomness of one step, the same whenever the step is computed."""
    return torch.Generator("cpu").manual_seed(derive_seed(seed, phase, step))


def run_phase(
    module: nn.Module,
    settings: PhaseSettings,
    loss_of: Callable[[int], torch.Tensor],
    *,
    processes: Processes = ALONE,
) -> PhaseRecord:
    """Optimise `module`'s trainable parameters, going on from the phase's checkpoint.

    Args:
        module: Ends with the averaged weights where `ema_decay` is set.
        settings: Steps, rates and the checkpoint.
        loss_of: Gives the loss of a backward pass; all randomness must come from its number.
            Each number is asked for once, in one of the processes.
        processes: Those that train together; each must call this function.

    Raises:
        TrainingError: If the loss isn't finite.
    """
    state = _State.fresh(module, settings, processes)
    began = last_saved = time.perf_counter() - state.record.elapsed_s
    recent: list[float] = []
    module.train()
    bar = tqdm(
        range(state.step, settings.steps), initial=state.step, total=settings.steps,
        desc=f"fit: {settings.name}", unit="step", disable=None if processes.is_first else True,
    )  # fmt: skip
    for _ in bar:
        recent.append(state.update(loss_of))
        last = state.step == settings.steps
        # Rows and checkpoints fall together, so that a resumed curve has no gap.
        if state.step % _LOSS_EVERY == 0 or last:
            loss = _finite_mean(processes.gather(recent), settings.name, state.step)
            state.record.losses.append((state.step, loss))
            recent.clear()
            bar.set_postfix(loss=f"{loss:.4f}")
            now = time.perf_counter()
            state.record.elapsed_s = now - began
            due = last or now - last_saved > settings.checkpoint_every_s
            if due and processes.is_first:
                state.save(settings.checkpoint)
                last_saved = now
                logger.info(
                    "phase %s: %d of %d steps, loss %.4f",
                    *(settings.name, state.step, settings.steps, loss),
                )
    state.finish()
    return state.record


@dataclass
class _State:
    """All that a step changes."""

    module: nn.Module
    settings: PhaseSettings
    processes: Processes
    optimizer: torch.optim.Optimizer
    schedule: OneCycleLR
    average: AveragedModel | None
    scaler: torch.amp.GradScaler
    record: PhaseRecord = field(default_factory=PhaseRecord)
    step: int = 0

    @classmethod
    def fresh(cls, module: nn.Module, settings: PhaseSettings, processes: Processes) -> "_State":
        """Return the state before the first step, or that of the checkpoint."""
        optimizer = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad],
            lr=settings.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=_WEIGHT_DECAY,
        )
        schedule = OneCycleLR(
            optimizer,
            max_lr=settings.learning_rate,
            total_steps=max(settings.steps, _FEWEST_STEPS),
            pct_start=_WARMUP_SHARE,
            cycle_momentum=False,
        )
        average = None
        if settings.ema_decay is not None:
            average_of = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
            average = AveragedModel(module, multi_avg_fn=average_of)
        device = next(module.parameters()).device.type
        scaler = torch.amp.GradScaler(device, enabled=settings.scale_loss)
        state = cls(module, settings, processes, optimizer, schedule, average, scaler)
        if settings.checkpoint.is_file():
            state._load(settings.checkpoint)
            logger.info("phase %s goes on after step %d", settings.name, state.step)
        return state

    def update(self, loss_of: Callable[[int], torch.Tensor]) -> float:
        """Take one optimizer step and return this process's mean loss."""
        passes, processes = self.settings.backward_passes, self.processes
        losses = []
        for turn in range(passes):
            loss = loss_of((self.step * passes + turn) * processes.count + processes.index)
            losses.append(loss.item())
            self.scaler.scale(loss / passes).backward()  # type: ignore[no-untyped-call]
        processes.average_gradients(self.module.parameters())
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.module.parameters(), _MAX_GRADIENT_NORM)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.module)
        self.step += 1
        return sum(losses) / passes

    def finish(self) -> None:
        """Leave the module ready for use, with the averaged weights if there are any."""
        if self.average is not None:
            self.module.load_state_dict(self.average.module.state_dict())
        self.module.eval()

    def _parts(self) -> dict[str, Any]:
        parts = {
            "module": self.module, "optimizer": self.optimizer, "schedule": self.schedule,
            "scaler": self.scaler,
        }  # fmt: skip
        return parts | ({"average": self.average} if self.average is not None else {})

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        progress = {
            "step": self.step,
            "losses": self.record.losses,
            "elapsed_s": self.record.elapsed_s,
        }
        states = {name: part.state_dict() for name, part in self._parts().items()}
        with replacing(path) as temporary:
            torch.save({"progress": progress, **states}, temporary)

    def _load(self, path: Path) -> None:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        progress = saved["progress"]
        self.step = progress["step"]
        self.record = PhaseRecord([(s, v) for s, v in progress["losses"]], progress["elapsed_s"])


def _finite_mean(losses: list[float], phase: str, step: int) -> float:
    mean = sum(losses) / len(losses)
    if not math.isfinite(mean):
        raise TrainingError(
            f"the loss of phase {phase} isn't finite after {step} steps; lower its learning_rate"
        )
    return mean
