"""The smallest real model: seconds to fit, every part of the real one."""

from typing import Any

from synthdata.config.fit import FitConfig


def tiny_config(**values: Any) -> FitConfig:
    return FitConfig.model_validate(
        {
            "seed": 3,
            "prompt_template": "a blood smear with {objects}",
            "device": "cpu",
            "checkpoint_every_s": 1e-3,
            "model": {
                "kind": "embedded",
                "crops": {"num_crops": 12, "size": [48, 40], "flip_ud": 0.5},
                "autoencoder": {
                    "channels": 8, "steps": 30, "decoder_steps": 10, "batch_size": 4,
                    "crop_size": 32, "learning_rate": 5e-3,
                },
                "denoiser": {
                    "block_out_channels": [16, 24], "cross_attention_dim": 16, "steps": 60,
                    "batch_size": 2, "ema_decay": 0.9,
                },
            },
        }
        | values
    )  # fmt: skip
