import torch
from diffusers.training_utils import compute_snr

from synthdata.training.denoiser import _min_snr_weight, build_scheduler


def test_min_snr_weights_follow_the_paper_for_v_prediction() -> None:
    scheduler = build_scheduler()
    timesteps = torch.arange(1, 1000, 37)
    snr = compute_snr(scheduler, timesteps)
    expected = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    found = _min_snr_weight(scheduler, timesteps, 5.0)
    assert found.shape == (len(timesteps), 1, 1, 1)
    torch.testing.assert_close(found.flatten(), expected)
    assert (found >= 0).all()
