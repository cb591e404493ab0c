"""The process that exports a YOLO: `python -m synthdata.detectors.ultralytics_exporter JOB_FOLDER`.

It imports ultralytics, which is AGPL-3.0, and runs as a program of its own. In go `job.json`, with
one image in the target `TARGET`, and `weights.pt`; out come `model.onnx` and, written last,
`export.json` (see `synthdata.detectors.trained`).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

# torch first: ultralytics would set its number of threads otherwise.
import torch
import ultralytics
from ultralytics.data.augment import LetterBox
from ultralytics.utils.patches import imread

from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import WEIGHTS, TrainJob
from synthdata.detectors.trained import EXPORT, ONNX, TARGET
from synthdata.detectors.ultralytics_process import set_up
from synthdata.files import write_json
from synthdata.lifeline import end_with_parent

# ultralytics' own reader needs these. The rest would tell a date and a path of this machine.
_KEPT_METADATA = ("author", "version", "license", "docs", "stride", "task", "head", "batch",
                  "imgsz", "names", "channels", "end2end")  # fmt: skip


def main(job_dir: Path) -> None:
    """Export a job's weights and compare what both forms give for an image."""
    job = TrainJob.load(job_dir)
    config = UltralyticsConfig.model_validate(job.detector)
    set_up(config, job, job_dir)
    model = ultralytics.YOLO(job_dir / WEIGHTS, task="detect")
    stride = int(model.model.stride.max())
    (image,) = job.targets[TARGET]
    inputs = _inputs(job_dir / image, config.image_size, stride)
    network = model.model.float().eval()
    with torch.no_grad():
        expected = [network(tensor)[0].numpy() for tensor in inputs]
    # Height and width stay free, since a detector sees rectangles when it is scored.
    written = model.export(
        format="onnx", imgsz=config.image_size, dynamic=True, simplify=False, nms=False,
        device="cpu", verbose=False,
    )  # fmt: skip
    path = Path(written).rename(job_dir / ONNX)
    opset = _clean(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (outcome,) = session.get_inputs(), session.get_outputs()
    found = [session.run(None, {entry.name: tensor.numpy()})[0] for tensor in inputs]
    facts: dict[str, Any] = {
        "opset": opset,
        "input": entry.name,
        "output": outcome.name,
        "image_size": config.image_size,
        "stride": stride,
        "end2end": session.get_modelmeta().custom_metadata_map["end2end"] == "True",
        "compared_shapes": [list(tensor.shape) for tensor in inputs],
        "largest_difference": max(
            float(np.abs(ours - theirs).max()) for ours, theirs in zip(found, expected, strict=True)
        ),
    }
    write_json(job_dir / EXPORT, facts)


def _inputs(image: Path, size: int, stride: int) -> list[torch.Tensor]:
    """Return an image as scoring letterboxes it, and as a batch of two squares.

    Returns:
        `(1, 3, H, W)` and `(2, 3, size, size)` float32 RGB in [0, 1].
    """
    pixels = imread(str(image))
    tensors = []
    for is_rectangle, copies in ((True, 1), (False, 2)):
        boxed = LetterBox((size, size), auto=is_rectangle, stride=stride)(image=pixels)
        rgb = np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1))
        tensors.append(torch.from_numpy(rgb).float().div(255).repeat(copies, 1, 1, 1))
    return tensors


def _clean(path: Path) -> int:
    """Drop what differs from export to export from a model's metadata; return its opset."""
    model = onnx.load(path)
    kept = {one.key: one.value for one in model.metadata_props if one.key in _KEPT_METADATA}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return int(model.opset_import[0].version)


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
