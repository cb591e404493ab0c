from collections.abc import Callable

import pytest
import torch
from diffusers.training_utils import compute_snr

from synthdata.config.fit import DenoiserConfig
from synthdata.training.denoiser import (
    NO_CONTROL,
    Denoiser,
    DenoiserData,
    _min_snr_weight,
    build_scheduler,
    denoising_loss,
)
from synthdata.training.hardware import Hardware

SIZE = 512


class Silent(Denoiser):
    """Predicts nothing, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__(*[torch.nn.Identity()] * 3)

    def forward(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, ids: torch.Tensor, control: torch.Tensor
    ) -> torch.Tensor:
        self.given = noisy, timesteps, ids, control
        return torch.zeros_like(noisy)


def loss_of(**values: object) -> tuple[torch.Tensor, DenoiserData, Silent]:
    """Latents are zero, so that all that is noisy is noise."""
    config = DenoiserConfig.model_validate({"batch_size": SIZE, **values})
    weights = torch.stack([torch.full((4, 4), 0.5), torch.eye(4) * 4])
    data = DenoiserData(
        latents=torch.zeros(2, 3, 4, 4),
        controls=torch.stack([torch.full((5, 16, 16), value) for value in (51, 102)]).byte(),
        prompt_ids=torch.tensor([[7, 7, 7], [8, 8, 8]]),
        no_prompt_ids=torch.tensor([1, 1, 1]),
        weights=weights,
    )
    denoiser = Silent()
    loss = denoising_loss(
        denoiser, data, config, scheduler=build_scheduler(),
        hardware=Hardware(torch.device("cpu"), torch.float32),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return loss, data, denoiser


def test_prompt_and_layout_are_dropped_together() -> None:
    _, data, denoiser = loss_of(condition_dropout=0.25)
    _, timesteps, ids, control = denoiser.given
    dropped = (ids == data.no_prompt_ids).all(dim=1)
    assert 0.2 < dropped.float().mean() < 0.3
    assert (control[dropped] == NO_CONTROL).all()
    picked = torch.where(ids[~dropped, 0] == 7, 0.2, 0.4)
    torch.testing.assert_close(control[~dropped], picked[:, None, None, None].expand(-1, 5, 16, 16))
    # One timestep in each stretch of the schedule.
    assert (timesteps.diff() >= 0).all()
    assert timesteps[0] < 3
    assert timesteps[-1] > 996


def snr_weight(timesteps: torch.Tensor) -> torch.Tensor:
    return _min_snr_weight(build_scheduler(), timesteps, 5.0)


@pytest.mark.parametrize(
    ("gamma", "of_timestep"), [(None, lambda _: torch.ones(SIZE, 1, 1, 1)), (5.0, snr_weight)]
)
def test_the_loss_is_the_weighted_error_of_the_velocity(
    gamma: float | None, of_timestep: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    loss, data, denoiser = loss_of(condition_dropout=0.0, min_snr_gamma=gamma)
    noisy, timesteps, ids, _ = denoiser.given
    alpha = build_scheduler().alphas_cumprod[timesteps][:, None, None, None]
    velocity = alpha.sqrt() * noisy / (1 - alpha).sqrt()
    picked = data.weights[(ids[:, 0] == 8).long()][:, None]

    expected = (velocity.square() * picked * of_timestep(timesteps)).mean()

    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_min_snr_weights_follow_the_paper_for_v_prediction() -> None:
    scheduler = build_scheduler()
    timesteps = torch.arange(1, 1000, 37)
    snr = compute_snr(scheduler, timesteps)
    expected = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    found = _min_snr_weight(scheduler, timesteps, 5.0)
    assert found.shape == (len(timesteps), 1, 1, 1)
    torch.testing.assert_close(found.flatten(), expected)
    assert (found >= 0).all()
