"""What a training is made of: its digest, and its images and labels on disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import yaml

from synthdata.config.detector import DetectorConfig
from synthdata.detectors.base import (
    TrainingPhase,
    TrainSettings,
    description_path,
    training_list_path,
)
from synthdata.files import link_or_copy, sha256_file, sha256_json, write_json
from synthdata.formats.coco import to_coco
from synthdata.formats.yolo import label_text
from synthdata.manifest import check_image
from synthdata.samples import Annotations, DetectionDataset, Sample

# What a config permits doesn't change the weights; of the policy its numbers do.
_WITHOUT_EFFECT = {"trust_weights", "allow_download", "policy"}


def training_key(
    config: DetectorConfig,
    settings: TrainSettings,
    phases: Sequence[TrainingPhase],
    dataset: DetectionDataset,
) -> str:
    """Return the digest of all that decides the weights of a training.

    The versions belong to it: weights of one recipe aren't paired with those of another.
    """
    images = {
        name: [_image_sha256(dataset, sample), _annotations_sha256(sample.annotations)]
        for name, sample in _unique(phases).items()
    }
    return sha256_json(
        [
            config.model_dump(mode="json", exclude=_WITHOUT_EFFECT),
            # Weights that are trained on may change under the same name.
            sha256_file(Path(config.model)) if Path(config.model).is_file() else "",
            _versions(config.kind),
            [settings.batch_size, settings.seed, settings.threads, settings.device],
            dataset.class_names,
            [
                [phase.epochs, phase.learning_rate, [sample.sample_id for sample in phase.train]]
                for phase in phases
            ],
            images,
        ]
    )


def _unique(phases: Sequence[TrainingPhase]) -> dict[str, Sample]:
    """Return the samples of all phases by id, each once."""
    return {sample.sample_id: sample for phase in phases for sample in phase.train}


@cache
def _versions(detector: str) -> list[str]:
    """Return what the trainings of a detector depend on; its kind is the name of its package."""
    # Several distributions have the same package: with opencv, and without a display.
    named = ["synthdata", "torch", *packages_distributions().get(detector, ())]
    return [f"{name} {version(name)}" for name in named]


def target_key(target: DetectionDataset) -> str:
    """Return the digest of the images of a target set."""
    return sha256_json([_image_sha256(target, sample) for sample in target])


def _image_sha256(dataset: DetectionDataset, sample: Sample) -> str:
    return sample.sha256 or sha256_file(dataset.image_path(sample))


def _annotations_sha256(annotations: Annotations) -> str:
    values = annotations.xyxy.tobytes() + annotations.class_id.tobytes()
    return hashlib.sha256(values).hexdigest()


def check_images(dataset: DetectionDataset) -> None:
    """Compare each image with the digest that its manifest has of it.

    Raises:
        DatasetError: If an image isn't there, or is another.
    """
    for sample in dataset:
        check_image(dataset.image_path(sample), sample)


def write_training_data(
    data_dir: Path, phases: Sequence[TrainingPhase], dataset: DetectionDataset
) -> None:
    """Write the training data in YOLO and COCO form; images are hard links.

    Raises:
        DatasetError: If an image isn't the one that the manifest names.
    """
    renamed = []
    for sample in _unique(phases).values():
        path = Path("images", f"{sample.sample_id}{sample.path.suffix}")
        check_image(dataset.image_path(sample), sample)
        link_or_copy(dataset.image_path(sample), data_dir / path)
        label = data_dir / "labels" / f"{sample.sample_id}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text(label_text(sample), encoding="utf-8")
        renamed.append(replace(sample, path=path))
    name_of = {sample.sample_id: sample.path.as_posix() for sample in renamed}
    names = dict(enumerate(dataset.class_names))
    for number, phase in enumerate(phases, start=1):
        listed = training_list_path(data_dir, number)
        lines = [f"./{name_of[sample.sample_id]}\n" for sample in phase.train]
        listed.write_text("".join(lines), encoding="utf-8")
        description = {"train": listed.name, "val": listed.name, "names": names}
        text = yaml.safe_dump(description)
        description_path(data_dir, number).write_text(text, encoding="utf-8")
    local = replace(dataset, root=data_dir, samples=tuple(renamed))
    write_json(data_dir / "annotations.json", to_coco(local))
