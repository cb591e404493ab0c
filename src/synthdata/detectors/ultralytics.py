"""Adapter to ultralytics YOLO, which runs in a process of its own.

ultralytics is AGPL-3.0; synthdata never imports it here, and talks to it through files only.
"""

from collections.abc import Mapping
from pathlib import Path

from synthdata.detectors.base import TrainJob


class UltralyticsDetector:
    """Trains a YOLO as ultralytics builds it, with every default that matters stated."""

    worker = "synthdata.detectors.ultralytics_worker"

    def environment(self, job: TrainJob, job_dir: Path) -> Mapping[str, str]:
        """Return what keeps ultralytics offline, in its folder and on its threads."""
        threads = str(job.threads)
        return {
            # Unset, ultralytics sets it to 1 when it is imported before torch.
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "YOLO_OFFLINE": "true",
            "YOLO_AUTOINSTALL": "false",
            "YOLO_CONFIG_DIR": str((job_dir / "scratch").absolute()),
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "MPLBACKEND": "Agg",
        }
