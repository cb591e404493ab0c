"""The arms as data sets on disk, each in YOLO and COCO form with its data card.

```
arms/<arm>/   images/ labels/ annotations.json manifest.parquet data.yaml card.*
              train.txt, train-2.txt, ... a list per phase, and phases.json
eval/<set>/   images/ labels/ annotations.json manifest.parquet
```
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from synthdata.armfolder import ARMS, EVAL, PHASES, SPLITS, list_name
from synthdata.config.version import VersionConfig
from synthdata.datasets.shifted import ShiftedSet, write_shifted
from synthdata.errors import VersioningError
from synthdata.files import link_or_copy, replacing_dir, write_json
from synthdata.formats.yolo import label_text
from synthdata.manifest import check_image, save_dataset
from synthdata.samples import DetectionDataset, Sample
from synthdata.versioning.arms import Arm, build_arm, list_length
from synthdata.versioning.cards import Provenance, arm_card, render_card
from synthdata.versioning.ingredients import Ingredients

logger = logging.getLogger(__name__)


def write_versions(
    section: VersionConfig,
    *,
    ingredients: Ingredients,
    out_dir: Path,
    provenance: Provenance | None = None,
) -> dict[str, Any]:
    """Write every arm, the evaluation splits and the shifted sets.

    A folder appears under its name only when whole; one that is there is written again,
    which costs little, since images are hard links.

    Args:
        section: The arms and their list length.
        ingredients: What they are made of.
        out_dir: The stage's folder.
        provenance: For the data cards.

    Returns:
        Metrics: the lists' length, what each arm and evaluation set holds, and what was found in
        the shifted sets, where there are some.

    Raises:
        DatasetError: If an image isn't the one that its manifest names, or scaling leaves a
            shifted set no object that can be seen.
        VersioningError: If an arm has no images, a list leaves out real images, or two images of
            one arm share an id.
    """
    prepared, writer = ingredients.prepared, _ImageWriter()
    evaluation: dict[str, dict[str, int]] = {
        name: _write_evaluation_set(prepared.split(name), out_dir / EVAL / name, writer)
        for name in SPLITS
    }
    shifted = {
        name: _write_shifted_set(one, out_dir / EVAL / name)
        for name, one in ingredients.shifted.items()
    }
    evaluation |= {name: _size(dataset) for name, (dataset, _) in shifted.items()}
    length = list_length(section, ingredients)
    cards = {}
    for name in section.arms:
        arm = build_arm(name, section, ingredients, length=length)
        card = arm_card(arm, prepared.class_names, section, provenance or Provenance())
        _write_arm(arm, card, prepared.class_names, out_dir / ARMS / name, writer)
        logger.info("arm %s: %d images, %d in each list", name, len(arm.images), length)
        cards[name] = card
    return {
        "list_length": length,
        "arms": {name: _summary(card) for name, card in cards.items()},
        "eval": evaluation,
    } | ({"shifted": {name: found for name, (_, found) in shifted.items()}} if shifted else {})


def _summary(card: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "num_images", "images_by_origin", "objects_per_class", "training_lists", "images_left_out",
    )  # fmt: skip
    return {name: card[name] for name in names}


def _write_arm(
    arm: Arm,
    card: dict[str, Any],
    class_names: tuple[str, ...],
    folder: Path,
    writer: "_ImageWriter",
) -> None:
    with replacing_dir(folder) as temporary:
        files = [(image.sample, image.file) for image in arm.images]
        dataset = writer.write(files, class_names, temporary)
        for phase, training in enumerate(arm.lists):
            lines = [f"./{dataset.samples[i].path.as_posix()}" for i in training.order]
            text = "\n".join(lines) + "\n"
            (temporary / list_name(phase)).write_text(text, encoding="utf-8")
        (temporary / "data.yaml").write_text(_data_yaml(class_names), encoding="utf-8")
        (temporary / "card.md").write_text(render_card(card), encoding="utf-8")
        write_json(temporary / "card.json", card)
        phases = [
            {"list": list_name(i), "steps": one.steps, "learning_rate": one.learning_rate}
            for i, one in enumerate(arm.lists)
        ]
        write_json(temporary / PHASES, phases)


def _write_evaluation_set(
    dataset: DetectionDataset, folder: Path, writer: "_ImageWriter"
) -> dict[str, int]:
    with replacing_dir(folder) as temporary:
        files = [(sample, dataset.image_path(sample)) for sample in dataset]
        writer.write(files, dataset.class_names, temporary)
    return _size(dataset)


def _write_shifted_set(one: ShiftedSet, folder: Path) -> tuple[DetectionDataset, dict[str, Any]]:
    """Write what is nowhere else yet, since other sets' images are links to those of `prepare`."""
    with replacing_dir(folder) as temporary:
        dataset, found = write_shifted(one, temporary)
        _write_labels(dataset)
    return replace(dataset, root=folder), found


def _size(dataset: DetectionDataset) -> dict[str, int]:
    return {"num_images": len(dataset), "num_objects": sum(len(s.annotations) for s in dataset)}


@dataclass
class _ImageWriter:
    """Writes data sets of images that are hard links, each checked once.

    Attributes:
        checked: Those that are what their manifest says.
    """

    checked: set[Path] = field(default_factory=set)

    def write(
        self, files: Iterable[tuple[Sample, Path]], class_names: tuple[str, ...], root: Path
    ) -> DetectionDataset:
        """Write images and labels into an empty folder, and their manifest."""
        samples = []
        (root / "images").mkdir()
        for sample, file in files:
            path = Path("images") / f"{sample.sample_id}{file.suffix}"
            if (root / path).exists():
                raise VersioningError(
                    f"two images have the id {sample.sample_id!r} ({file} is one of them); ids "
                    "must differ between real and extra images"
                )
            if file not in self.checked:
                check_image(file, sample)
                self.checked.add(file)
            link_or_copy(file, root / path)
            samples.append(replace(sample, path=path))
        dataset = DetectionDataset(root=root, class_names=class_names, samples=tuple(samples))
        _write_labels(dataset)
        save_dataset(dataset)
        return dataset


def _write_labels(dataset: DetectionDataset) -> None:
    folder = dataset.root / "labels"
    folder.mkdir()
    for sample in dataset:
        label = folder / f"{sample.sample_id}.txt"
        label.write_text(label_text(sample), encoding="utf-8")


def _data_yaml(class_names: tuple[str, ...]) -> str:
    """Return what ultralytics reads.

    There is no `path`, since ultralytics takes a relative one from the working folder; left
    out, it means the file's own folder, wherever that is moved.
    """
    values: dict[str, Any] = {"train": list_name(0)}
    values |= {name: f"../../{EVAL}/{name}/images" for name in SPLITS}
    values["names"] = dict(enumerate(class_names))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
