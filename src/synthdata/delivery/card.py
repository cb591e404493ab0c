"""The model card: what a delivered detector is, what is known of it, and what isn't.

The parts follow Mitchell et al. 2019, Model Cards for Model Reporting.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from synthdata.armfolder import ARMS, EVAL, shifted_sets
from synthdata.config.arms import ArmConfig
from synthdata.delivery.card_text import render_card
from synthdata.delivery.choice import TrainedDetector
from synthdata.delivery.outputs import refuse_existing
from synthdata.delivery.recipe import recipe_in_words
from synthdata.files import read_json, write_json, write_text
from synthdata.manifest import load_dataset
from synthdata.report import wording
from synthdata.report.numerals import signed
from synthdata.runfolder import complete_key
from synthdata.samples import DetectionDataset
from synthdata.versioning.publish import find_published

CARD: Final = "model-card"
_LIBRARIES: Final[Mapping[str, str]] = {
    "ultralytics": "ultralytics, AGPL-3.0; its authors claim that weights trained with it are "
    "AGPL-3.0 too, whether exported or not; synthdata itself is Apache-2.0",
}


def describe_detector(
    detector: TrainedDetector, *, exported: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a detector's card, as JSON values.

    Args:
        detector: Which.
        exported: What is known of its exported form, see `OnnxModel`.
    """
    data_card = read_json(detector.version_dir / ARMS / detector.arm / "card.json")
    sets = {name: load_dataset(detector.version_dir / EVAL / name) for name in _sets(detector)}
    return {
        "model": {
            **detector.describe(),
            "title": detector.report["arms"][detector.arm]["title"],
            "classes": detector.class_names,
            "weights_sha256_recorded": detector.is_verified,
        },
        "exported": dict(exported) if exported else None,
        "verdict": _verdict(detector),
        "scores": {name: _scores(detector, name, dataset) for name, dataset in sets.items()},
        "data": _data(detector, data_card),
        "recipe": {
            "words": recipe_in_words(ArmConfig.model_validate(data_card["recipe"])),
            "config": data_card["recipe"],
            "images_by_origin": data_card["images_by_origin"],
            "objects_per_class": data_card["objects_per_class"],
        },
        "training": _training(detector),
        "licences": {
            "detector": _LIBRARIES[detector.section.detector.kind],
            "initial_weights": _initial_weights(detector.section.detector.model),
            "data": data_card["sources"]["licence"],
        },
        "not_tested": list(_not_tested(detector, sets)),
    }


def card_paths(folder: Path) -> tuple[Path, Path]:
    """Return where a card's text and its JSON form are."""
    return folder / f"{CARD}.md", folder / f"{CARD}.json"


def write_card(card: Mapping[str, Any], folder: Path) -> None:
    """Write `model-card.md` and `model-card.json`.

    Raises:
        DeliveryError: If one is there.
    """
    text, values = card_paths(folder)
    refuse_existing(text, values)
    write_json(values, card)
    write_text(text, render_card(card))


def _sets(detector: TrainedDetector) -> list[str]:
    """Return the sets that the report scored the arm on, the split first."""
    return [detector.report["evaluation_split"], *detector.report["shifted"]]


def _verdict(detector: TrainedDetector) -> dict[str, Any]:
    """Return what the run says of the arm, and what it says it under.

    `sentences` has the advice where it is this arm, and the verdict of each contrast of the arm
    against another, that of the headline with its evidence.
    """
    report = detector.report
    headline = report["headline"]
    sentences = [
        f"{wording.claim(report, row)}: {signed(row['difference'])} mAP50-95 "
        f"({wording.interval(row, report['confidence'])})."
        for row in report["contrasts"]
        if row["arm"] == detector.arm
    ]
    is_headline = bool(report["contrasts"]) and report["contrasts"][0]["arm"] == detector.arm
    if is_headline:
        sentences[0] = f"{headline['claim']}. {headline['evidence']}"
    if report["advice"]["arm"] == detector.arm:
        sentences.insert(0, report["advice"]["sentence"])
    return {
        "verdict": report["verdict"] if is_headline else None,
        "sentences": sentences or ["The run tests nothing about this arm against another."],
        "conditions": list(report["notes"]),
        "seeds": list(report["seeds"]),
    }


def _scores(detector: TrainedDetector, name: str, dataset: DetectionDataset) -> dict[str, Any]:
    """Return the arm's scores on a set, mean over seeds, and this detector's own mAP50-95."""
    report, evaluated = detector.report, detector.training["sets"][name]
    is_split = name == report["evaluation_split"]
    row = (report["arms"] if is_split else report["shifted"][name]["scores"])[detector.arm]
    objects = sum(
        (sample.annotations.counts(len(dataset.class_names)) for sample in dataset),
        np.zeros(len(dataset.class_names), np.int64),
    )
    return {
        "num_images": evaluated["num_images"],
        "digest": evaluated["digest"],
        "image_sizes": sorted({f"{sample.width}x{sample.height}" for sample in dataset}),
        "objects_per_class": dict(zip(dataset.class_names, objects.tolist(), strict=True)),
        "mean": {key: row[key] for key in ("map50_95", "map50", "map75", "per_class")},
        "map50_95": row["map50_95_by_seed"][str(detector.seed)],
    }


def _data(detector: TrainedDetector, data_card: Mapping[str, Any]) -> dict[str, Any]:
    version_dir = detector.version_dir
    folder = Path(os.path.relpath(version_dir.resolve(), detector.run_dir.resolve()))
    return {
        "config": detector.run_dir.name,
        "config_sha256": data_card["config_sha256"],
        "dataset": data_card["sources"]["dataset"],
        "version": folder.as_posix(),
        "version_key": complete_key(version_dir),
        "dvc": find_published(version_dir, detector.run_dir.parents[1]),
        "data_card": (folder / ARMS / detector.arm / "card.md").as_posix(),
    }


def _training(detector: TrainedDetector) -> dict[str, Any]:
    """Return the detector, its settings, and what its training took."""
    section, trained = detector.section, detector.training["arms"][detector.arm]
    names = ("steps", "num_images", "num_parameters", "device", "versions")
    return {
        "detector": section.detector.model_dump(mode="json"),
        "epochs": section.epochs,
        "batch_size": section.batch_size,
        "seed": detector.training["detector_seed"],
        **{name: trained[name] for name in names},
    }


def _initial_weights(model: str) -> str:
    if not model.endswith(".pt"):
        return "none: trained from scratch"
    return f"{Path(model).name}, under the licence of whoever made them, not known to synthdata"


def _not_tested(detector: TrainedDetector, sets: Mapping[str, DetectionDataset]) -> Iterator[str]:
    """Yield what nobody knows of the detector, as sentences."""
    if "test" not in sets:
        yield (
            f"Test images: they weren't opened. Choices were made on {next(iter(sets))}, so that "
            "its scores flatter what was chosen there."
        )
    unscored = [name for name in shifted_sets(detector.version_dir) if name not in sets]
    for name in unscored:
        yield f"The shifted set {name}: it wasn't scored."
    if not shifted_sets(detector.version_dir):
        yield "Images from elsewhere (another camera, place or time): the run has no shifted set."
    sizes = sorted({f"{one.width}x{one.height}" for dataset in sets.values() for one in dataset})
    yield (
        f"Images of other sizes than {', '.join(sizes)} pixels, in which objects appear smaller or "
        f"larger once the longer side is {detector.section.detector.image_size} pixels."
    )
    for name, dataset in sets.items():
        seen = {int(c) for sample in dataset for c in sample.annotations.class_id}
        absent = [one for i, one in enumerate(dataset.class_names) if i not in seen]
        if absent:
            yield f"Classes without an object in {name}: {', '.join(absent)}."
