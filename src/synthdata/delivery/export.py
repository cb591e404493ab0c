"""A run's detector in a form that needs no training library, with its card beside it."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from synthdata.armfolder import ARMS
from synthdata.delivery.card import card_paths, describe_detector, write_card
from synthdata.delivery.choice import TrainedDetector
from synthdata.delivery.outputs import refuse_existing
from synthdata.detectors.trained import export_onnx
from synthdata.errors import DeliveryError
from synthdata.extras import needing_extra
from synthdata.files import replacing, sha256_file
from synthdata.manifest import load_dataset

TOLERANCE: Final = 1e-3


def export_with_card(
    detector: TrainedDetector, path: Path, *, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Write a detector as ONNX, if it gives there what it gives in torch, and its card.

    Args:
        detector: Which.
        path: The file, which isn't there; `model-card.md` and `model-card.json` appear beside it.
        tolerance: Largest absolute difference of raw outputs (pixels; scores) between onnxruntime
            and torch, on the first image of the arm's training set.

    Returns:
        The card.

    Raises:
        DeliveryError: If a file is there, or the outputs differ by more.
        ConfigError: If onnx or onnxruntime isn't installed.
        TrainingError: If the detector's process fails.
    """
    with needing_extra("onnx", "export-detector"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    refuse_existing(path, *card_paths(path.parent))
    trained_on = load_dataset(detector.version_dir / ARMS / detector.arm)
    image = trained_on.image_path(trained_on.samples[0])
    with tempfile.TemporaryDirectory(prefix="synthdata-") as work_dir:
        model = export_onnx(detector.section, detector.job_dir, image, work_dir=Path(work_dir))
        difference = model.facts["largest_difference"]
        if not difference <= tolerance:
            raise DeliveryError(
                f"the ONNX model doesn't do what the detector does: on {image} raw outputs of "
                f"onnxruntime and torch differ by {difference:.3g}, expected at most "
                f"{tolerance:g}; nothing was written. Other versions of torch, onnx or onnxruntime "
                "may agree"
            )
        with replacing(path) as temporary:
            shutil.copyfile(model.path, temporary)
    exported = {"file": path.name, "format": "onnx", "sha256": sha256_file(path), **model.facts}
    card = describe_detector(detector, exported=exported)
    write_card(card, path.parent)
    return card
