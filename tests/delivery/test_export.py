"""The exported model does what the detector does."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from commands import Command
from synthdata.boxes import xyxy_to_xywh
from synthdata.delivery.choice import TrainedDetector
from synthdata.delivery.export import export_with_card
from synthdata.errors import DeliveryError
from synthdata.files import read_json, sha256_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("delivery")]


@pytest.fixture(scope="module")
def exported(workspace: Path, command: Command) -> Path:
    done = command("synthdata", "export-detector", "tiny", "--format", "onnx", cwd=workspace)
    assert done.stdout.startswith("exports/tiny-real_balanced-seed-0/model.onnx")
    return workspace / "exports" / "tiny-real_balanced-seed-0"


def test_the_surest_box_of_each_image_is_that_of_scoring(
    exported: Path, detector: TrainedDetector
) -> None:
    # 64x48 pixels get 8 grey rows above and below; nothing here knows ultralytics.
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    scored = read_json(detector.job_dir / "predictions-val.json")
    images = read_json(detector.version_dir / "eval" / "val" / "annotations.json")["images"]
    for image in images:
        path = detector.version_dir / "eval" / "val" / "images" / image["file_name"]
        pixels = np.asarray(Image.open(path), np.float32)
        padded = np.pad(pixels, ((8, 8), (0, 0), (0, 0)), constant_values=114) / 255
        (raw,) = session.run(None, {"images": padded.transpose(2, 0, 1)[None]})
        assert raw.shape == (1, 4 + 3, 84)
        best = raw[0, 4:].max(axis=0).argmax()
        x, y, width, height = raw[0, :4, best] - [0, 8, 0, 0]
        corners = np.array([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]])
        corners = corners.clip(0, [64, 48, 64, 48])
        surest = max((r for r in scored if r["image_id"] == image["id"]), key=lambda r: r["score"])
        np.testing.assert_allclose(xyxy_to_xywh(corners)[0], surest["bbox"], atol=1e-2)
        assert raw[0, 4:, best].argmax() + 1 == surest["category_id"]
        assert raw[0, 4:, best].max() == pytest.approx(surest["score"], abs=1e-4)


def test_the_model_is_whole_and_tells_nothing_of_the_machine(
    exported: Path, workspace: Path
) -> None:
    model = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    told = {one.key: one.value for one in model.metadata_props}
    assert told["names"] == "{0: '0', 1: '4', 2: '7'}"
    assert "date" not in told
    assert str(workspace).encode() not in (exported / "model.onnx").read_bytes()


def test_the_card_beside_it_describes_the_file(exported: Path) -> None:
    card = read_json(exported / "model-card.json")
    assert card["exported"]["sha256"] == sha256_file(exported / "model.onnx")
    assert 0 < card["exported"]["largest_difference"] <= 1e-3
    assert card["exported"]["compared_shapes"] == [[1, 3, 64, 64], [2, 3, 64, 64]]
    text = (exported / "model-card.md").read_text()
    assert card["exported"]["sha256"] in text
    assert "centre x, centre y, width, height, then a score a class" in text


def test_refuses_a_model_that_does_something_else(
    detector: TrainedDetector, tmp_path: Path
) -> None:
    # Sums in another order differ by more than this.
    with pytest.raises(DeliveryError, match=r"differ by \d.*e-0\d, expected at most 1e-12"):
        export_with_card(detector, tmp_path / "model.onnx", tolerance=1e-12)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["model.onnx", "model-card.md", "model-card.json"])
def test_writes_over_nothing(there: str, detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(DeliveryError, match=f"{there} is there already"):
        export_with_card(detector, tmp_path / "model.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
