"""Adapter to ultralytics YOLO, which runs in a process of its own.

ultralytics is AGPL-3.0; synthdata never imports it here, and talks to it through files only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import SCRATCH, PhaseSettings, TrainJob, TrainSettings
from synthdata.errors import ConfigError

_WARMUP_FRACTION = 0.1
_LOADER_WORKERS = 2  # on a GPU; on a CPU ultralytics loads images in the process itself


class UltralyticsDetector:
    """Trains a YOLO as ultralytics builds it, with every default that matters stated."""

    worker = "synthdata.detectors.ultralytics_worker"

    def check(self, config: UltralyticsConfig) -> None:
        """Refuse weights that aren't there, which ultralytics would look for on its servers.

        Raises:
            ConfigError: If they aren't there and the config doesn't allow the download.
        """
        path = Path(config.model)
        if path.suffix.lower() == ".pt" and not config.allow_download and not path.is_file():
            raise ConfigError(
                f"the detector's model {config.model} isn't there (looked in {Path.cwd()}), and "
                "trainings download nothing; put the file there, or set allow_download: true"
            )

    def environment(self, job: TrainJob, job_dir: Path) -> Mapping[str, str]:
        """Return what keeps ultralytics offline, in its folder and on its threads.

        Weights and architectures are read without running code that is in them, unless the
        config trusts them: a run folder's own `weights.pt` may have been replaced.
        """
        threads = str(job.settings.threads)
        safe = {} if job.detector["trust_weights"] else {"ULTRALYTICS_SAFE_LOAD": "1"}
        return {
            **safe,
            # With a key, ultralytics sends each training and its weights to its maker.
            "ULTRALYTICS_API_KEY": "",
            # Unset, ultralytics sets it to 1 when it is imported before torch.
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "YOLO_OFFLINE": "true",
            "YOLO_AUTOINSTALL": "false",
            "YOLO_CONFIG_DIR": str((job_dir / SCRATCH).absolute()),
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "MPLBACKEND": "Agg",
        }


def stated_settings(
    config: UltralyticsConfig, settings: TrainSettings, phase: PhaseSettings
) -> dict[str, Any]:
    """Return ultralytics' training settings, so that none is left to its default by chance.

    One optimizer step a batch (`nbs` equals the batch), the learning rate falling linearly to a
    hundredth after a warm-up over a tenth of the phase (none in a phase of one epoch), and no
    augmentation but what the config names.
    """
    none = dict.fromkeys(
        ("degrees", "shear", "perspective", "bgr", "mixup", "cutmix", "copy_paste", "multi_scale"),
        0.0,
    )
    off = dict.fromkeys(("amp", "cache", "plots", "rect", "save", "val"), False)
    return {
        **none,
        **off,
        "imgsz": config.image_size,
        "epochs": phase.epochs,
        "batch": settings.batch_size,
        "nbs": settings.batch_size,
        "optimizer": "AdamW",
        "lr0": config.learning_rate * phase.learning_rate,
        "lrf": 0.01,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "warmup_epochs": _WARMUP_FRACTION * phase.epochs,
        "warmup_bias_lr": 0.0,
        "warmup_momentum": 0.9,
        "fliplr": config.flip_lr,
        "flipud": config.flip_ud,
        "scale": config.scale,
        "translate": config.translate,
        "hsv_h": config.hsv_h,
        "hsv_s": config.hsv_s,
        "hsv_v": config.hsv_v,
        "mosaic": config.mosaic,
        "close_mosaic": round(config.close_mosaic * phase.epochs) if config.mosaic else 0,
        "seed": settings.seed,
        "deterministic": True,
        "patience": 0,
        "workers": _LOADER_WORKERS,
    }
