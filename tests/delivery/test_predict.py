"""What a run's detector finds in images of any size, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pycocotools.coco import COCO

from commands import Command
from synthdata.delivery.choice import TrainedDetector, open_detector
from synthdata.delivery.predict import predict_pictures
from synthdata.errors import DatasetError, DeliveryError, TrainingError
from synthdata.files import read_json, sha256_file, write_json

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("delivery")]
LEAST = 0.001  # all that scoring looks at
NUM_BCCD = 20
NUM_PHOTOS = 12 + 2 + 1 + NUM_BCCD  # val, kraft, the turned one


@pytest.fixture(scope="module")
def photos(
    detector: TrainedDetector, bccd_mirror: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The images of both evaluation sets, the first of val lying on its side, and BCCD's."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "bccd").mkdir()
    test = (bccd_mirror / "bccd" / "ImageSets" / "Main" / "test.txt").read_text().split()
    for name in test[:NUM_BCCD]:
        shutil.copy(bccd_mirror / "bccd" / "JPEGImages" / f"{name}.jpg", folder / "bccd")
    for name in ("val", "kraft"):
        shutil.copytree(detector.version_dir / "eval" / name / "images", folder / name)
    with Image.open(min((folder / "val").iterdir())) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    turned.save(folder / "turned.png", exif=exif)
    return folder


@pytest.fixture(scope="module")
def predicted(
    workspace: Path, photos: Path, command: Command, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out_dir = tmp_path_factory.mktemp("predicted") / "found"
    done = command(
        "synthdata", "predict", "tiny", str(photos), "--out", str(out_dir),
        "--confidence", str(LEAST), "--json", cwd=workspace,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (said["arm"], said["seed"], said["num_images"]) == ("real_balanced", 0, NUM_PHOTOS)
    assert said["folder"] == str(out_dir)
    assert "seed-0/train/jobs/real_balanced/weights.pt" in done.stderr
    return out_dir


def results_of(predicted: Path, name: str) -> list[tuple[list[float], int, float]]:
    results = read_json(predicted / "detections.json")
    return [
        (one["bbox"], one["category_id"], one["score"])
        for one in results
        if one["file_name"] == name
    ]


@pytest.mark.parametrize("name", ["val", "kraft"])
def test_finds_in_images_of_two_sizes_what_scoring_found(
    name: str, predicted: Path, detector: TrainedDetector
) -> None:
    scored = read_json(detector.job_dir / f"predictions-{name}.json")
    images = read_json(detector.version_dir / "eval" / name / "annotations.json")["images"]
    assert scored
    for image in images:
        expected = [
            (one["bbox"], one["category_id"], one["score"])
            for one in scored
            if one["image_id"] == image["id"]
        ]
        assert results_of(predicted, f"{name}/{image['file_name']}") == expected


def test_an_image_on_its_side_is_taken_upright(predicted: Path, photos: Path) -> None:
    first = min((photos / "val").iterdir())
    assert results_of(predicted, "turned.png") == results_of(predicted, f"val/{first.name}")
    (turned,) = (
        image
        for image in read_json(predicted / "images.json")["images"]
        if image["file_name"] == "turned.png"
    )
    assert (turned["width"], turned["height"]) == (64, 48)


def test_coco_tools_read_what_is_written(predicted: Path) -> None:
    truth = COCO(str(predicted / "images.json"))
    found = truth.loadRes(str(predicted / "detections.json"))
    assert len(found.imgs) == NUM_PHOTOS
    assert found.anns
    names = {one["id"]: one["name"] for one in truth.dataset["categories"]}
    assert names == {1: "0", 2: "4", 3: "7"}
    for one in found.anns.values():
        assert one["category"] == names[one["category_id"]]
        assert one["file_name"] == truth.imgs[one["image_id"]]["file_name"]


def test_boxes_lie_within_photographs_of_a_size_never_seen(predicted: Path) -> None:
    images = read_json(predicted / "images.json")["images"]
    seen = [image for image in images if image["file_name"].startswith("bccd/")]
    assert len(seen) == NUM_BCCD
    assert {(image["width"], image["height"]) for image in seen} == {(640, 480)}
    boxes = [box for image in seen for box, _, _ in results_of(predicted, image["file_name"])]
    assert boxes
    for x, y, width, height in boxes:
        assert 0 <= x <= x + width <= 640.01
        assert 0 <= y <= y + height <= 480.01


def test_pictures_show_the_boxes(predicted: Path, photos: Path) -> None:
    for image in read_json(predicted / "images.json")["images"]:
        if image["file_name"] == "turned.png":
            continue
        original = np.asarray(Image.open(photos / image["file_name"]), int)
        picture = np.asarray(Image.open(predicted / image["picture"]), int)
        assert picture.shape == original.shape
        changed = np.abs(picture - original).max(axis=2) > 40
        has_boxes = bool(results_of(predicted, image["file_name"]))
        assert changed.any() == has_boxes


def test_refuses_what_holds_no_image(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    for path, message in {
        tmp_path: "holds no image", tmp_path / "lost": "is no image and no folder",
        tmp_path / "notes.txt": r"notes\.txt: error: expected a whole JPEG, PNG",
    }.items():  # fmt: skip
        with pytest.raises(DatasetError, match=message):
            predict_pictures(detector, path, out_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_cut_image_stops_all(detector: TrainedDetector, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "val", tmp_path / "mine")
    damaged = max((tmp_path / "mine").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:300])
    with pytest.raises(DatasetError, match=rf"{damaged.name}: error: expected a whole"):
        predict_pictures(detector, tmp_path / "mine", out_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_writes_over_nothing(detector: TrainedDetector, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="is there already"):
        predict_pictures(detector, photos, out_dir=tmp_path)
    assert not list(tmp_path.iterdir())


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


def test_runs_no_code_from_a_run_that_says_it_is_trusted(
    run_dir: Path, photos: Path, tmp_path: Path
) -> None:
    train_dir, marker = run_dir / "seed-0" / "train", tmp_path / "ran"
    weights = train_dir / "jobs" / "real_balanced" / "weights.pt"
    torch.save({"model": Touch(marker)}, weights)
    metrics = read_json(train_dir / "metrics.json")
    metrics["arms"]["real_balanced"]["weights_sha256"] = sha256_file(weights)
    write_json(train_dir / "metrics.json", metrics)
    record = yaml.safe_load((train_dir / "config.yaml").read_text())
    record["section"]["detector"] |= {"trust_weights": True, "allow_download": True}
    (train_dir / "config.yaml").write_text(yaml.safe_dump(record))
    with pytest.raises(TrainingError, match="failed with status 1"):
        predict_pictures(open_detector(run_dir), photos, out_dir=tmp_path / "out")
    assert not marker.exists()
    assert not (tmp_path / "out").exists()
