"""What a model card says of a detector."""

import json
from pathlib import Path

import numpy as np
import pytest

from builders import write_dataset
from commands import Command
from synthdata.delivery.card import describe_detector, write_card
from synthdata.delivery.card_text import render_card
from synthdata.delivery.choice import TrainedDetector, open_detector
from synthdata.errors import DeliveryError
from synthdata.files import read_json, sha256_file
from synthdata.manifest import load_dataset, save_dataset
from synthdata.runfolder import complete_key

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("delivery")]


def test_every_field_follows_from_the_run(detector: TrainedDetector) -> None:
    report = read_json(detector.run_dir / "report" / "metrics.json")
    trained = read_json(detector.train_dir / "metrics.json")
    card = describe_detector(detector)
    assert card["model"] == {
        "run": "tiny", "arm": "real_balanced", "seed": 0, "title": "Real balanced",
        "weights": "seed-0/train/jobs/real_balanced/weights.pt",
        "weights_sha256": sha256_file(detector.weights), "weights_sha256_recorded": True,
        "classes": ["0", "4", "7"],
    }  # fmt: skip
    assert card["exported"] is None
    assert card["verdict"]["sentences"][0] == report["advice"]["sentence"]
    assert card["verdict"]["sentences"][1].startswith(report["headline"]["claim"])
    assert card["verdict"]["conditions"] == report["notes"]
    assert card["verdict"]["verdict"] == report["verdict"]
    assert card["verdict"]["seeds"] == [0]

    assert list(card["scores"]) == ["val", "kraft"]
    for name, row in card["scores"].items():
        of_set = trained["arms"] if name == "val" else trained["shifted"]["kraft"]
        assert row["map50_95"] == of_set["real_balanced"]["map50_95"]
        assert row["mean"]["per_class"] == of_set["real_balanced"]["per_class"]
        assert row["digest"] == trained["sets"][name]["digest"]
    assert card["scores"]["kraft"]["image_sizes"] == ["256x192"]
    assert card["scores"]["kraft"]["num_images"] == 2

    data = card["data"]
    assert (data["config"], data["dataset"], data["dvc"]) == ("tiny", "digits", None)
    assert data["version_key"] == complete_key(detector.run_dir / data["version"])
    assert (detector.run_dir / data["data_card"]).is_file()
    (recipe,) = card["recipe"]["words"]
    assert "real images of train, more often the more objects" in recipe
    assert card["recipe"]["images_by_origin"] == {"real": 12}

    training = card["training"]
    assert (training["steps"], training["epochs"], training["batch_size"]) == (6, 2, 8)
    assert training["detector"]["model"] == "yolov8p.yaml"
    assert training["seed"] == trained["detector_seed"]
    assert "AGPL-3.0" in card["licences"]["detector"]
    assert "CC BY 4.0" in card["licences"]["data"]
    assert card["licences"]["initial_weights"] == "none: trained from scratch"


def test_what_was_never_tested_is_said(run_dir: Path) -> None:
    def said() -> str:
        return "\n".join(describe_detector(open_detector(run_dir))["not_tested"])

    assert "Test images: they weren't opened" in said()
    assert "other sizes than 256x192, 64x48 pixels" in said()
    assert "wasn't scored" not in said()
    assert "without an object" not in said()

    evaluation = run_dir / "seed-0" / "version" / "eval"
    write_dataset(evaluation / "other-lab", num=2)
    assert "The shifted set other-lab: it wasn't scored." in said()

    kraft = load_dataset(evaluation / "kraft")
    for sample in kraft:
        sample.annotations.class_id[:] = np.minimum(sample.annotations.class_id, 1)
    save_dataset(kraft)
    assert "Classes without an object in kraft: 7." in said()


def test_an_arm_that_no_contrast_is_about_claims_nothing(detector: TrainedDetector) -> None:
    card = describe_detector(open_detector(detector.run_dir, arm="real"))
    assert card["verdict"]["verdict"] is None
    assert card["verdict"]["sentences"] == ["The run tests nothing about this arm against another."]


def test_the_command_shows_it_and_writes_it(
    workspace: Path, detector: TrainedDetector, command: Command, tmp_path: Path
) -> None:
    card = describe_detector(detector)
    cards = tmp_path / "cards"
    shown = command("synthdata", "model-card", "tiny", "--out", str(cards), "--json", cwd=workspace)
    assert json.loads(shown.stdout) == card == read_json(cards / "model-card.json")
    text = (cards / "model-card.md").read_text()
    assert text == render_card(card)
    for sentence in (card["model"]["weights_sha256"], "AGPL-3.0", "## Never tested on", "| val |"):
        assert sentence in text
    with pytest.raises(DeliveryError, match="model-card.md is there already"):
        write_card(card, cards)
