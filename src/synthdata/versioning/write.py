"""The arms as data sets on disk, each in YOLO and COCO form with its data card.

```
arms/<arm>/   images/ labels/ annotations.json manifest.parquet train.txt data.yaml card.*
eval/<split>/ images/ labels/ annotations.json manifest.parquet
```
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml

from synthdata.config.version import VersionConfig
from synthdata.errors import VersioningError
from synthdata.files import link_or_copy, replacing_dir, sha256_file, write_json
from synthdata.formats.yolo import label_text
from synthdata.manifest import save_dataset
from synthdata.samples import DetectionDataset, Sample
from synthdata.versioning.arms import Arm, build_arm
from synthdata.versioning.cards import Provenance, arm_card, render_card

ARMS = "arms"
EVAL = "eval"
TRAIN_LIST = "train.txt"
_EVALUATION_SPLITS: tuple[Literal["val", "test"], ...] = ("val", "test")

logger = logging.getLogger(__name__)


def write_versions(
    section: VersionConfig,
    *,
    prepared: DetectionDataset,
    pools: Mapping[str, DetectionDataset],
    out_dir: Path,
    provenance: Provenance | None = None,
) -> dict[str, Any]:
    """Write every arm and the evaluation splits.

    A folder appears under its name only when whole; one that is there is written again,
    which costs little, since images are hard links.

    Args:
        section: The arms, their list length and share of extra images.
        prepared: Real data, all splits.
        pools: Extra images of each arm that has any; those of other arms are left alone.
        out_dir: The stage's folder.
        provenance: For the data cards.

    Returns:
        Metrics: what each arm and evaluation split holds.

    Raises:
        VersioningError: If an arm has no images, or two images of one arm share an id.
    """
    evaluation = {name: _write_split(prepared, name, out_dir) for name in _EVALUATION_SPLITS}
    cards = {}
    for name in section.arms:
        arm = build_arm(name, section, prepared=prepared, pools=pools)
        card = arm_card(arm, prepared.class_names, section, provenance or Provenance())
        _write_arm(arm, card, prepared.class_names, out_dir / ARMS / name)
        logger.info("arm %s: %d images, %d in its list", name, len(arm.images), len(arm.order))
        cards[name] = card
    return {"arms": {name: _summary(card) for name, card in cards.items()}, "eval": evaluation}


def _summary(card: Mapping[str, Any]) -> dict[str, Any]:
    names = ("num_images", "images_by_origin", "objects_per_class", "training_list")
    return {name: card[name] for name in names}


def _write_arm(arm: Arm, card: dict[str, Any], class_names: tuple[str, ...], folder: Path) -> None:
    with replacing_dir(folder) as temporary:
        files = [(image.sample, image.file) for image in arm.images]
        dataset = _write_images(files, class_names, temporary)
        lines = [f"./{dataset.samples[i].path.as_posix()}" for i in arm.order]
        (temporary / TRAIN_LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (temporary / "data.yaml").write_text(_data_yaml(class_names), encoding="utf-8")
        (temporary / "card.md").write_text(render_card(card), encoding="utf-8")
        write_json(temporary / "card.json", card)


def _write_split(
    prepared: DetectionDataset, name: Literal["val", "test"], out_dir: Path
) -> dict[str, int]:
    split = prepared.split(name)
    with replacing_dir(out_dir / EVAL / name) as temporary:
        files = [(sample, split.image_path(sample)) for sample in split]
        _write_images(files, split.class_names, temporary)
    return {"num_images": len(split), "num_objects": sum(len(s.annotations) for s in split)}


def _write_images(
    files: Iterable[tuple[Sample, Path]], class_names: tuple[str, ...], root: Path
) -> DetectionDataset:
    samples = []
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for sample, file in files:
        path = Path("images") / f"{sample.sample_id}{file.suffix}"
        if (root / path).exists():
            raise VersioningError(
                f"two images have the id {sample.sample_id!r} ({file} is one of them); ids must "
                "differ between real and generated images"
            )
        link_or_copy(file, root / path)
        label = root / "labels" / f"{sample.sample_id}.txt"
        label.write_text(label_text(sample), encoding="utf-8")
        samples.append(replace(sample, path=path, sha256=sample.sha256 or sha256_file(file)))
    dataset = DetectionDataset(root=root, class_names=class_names, samples=tuple(samples))
    save_dataset(dataset)
    return dataset


def _data_yaml(class_names: tuple[str, ...]) -> str:
    """Return what ultralytics reads.

    There is no `path`, since ultralytics takes a relative one from the working folder; left
    out, it means the file's own folder, wherever that is moved.
    """
    values: dict[str, Any] = {"train": TRAIN_LIST}
    values |= {name: f"../../{EVAL}/{name}/images" for name in _EVALUATION_SPLITS}
    values["names"] = dict(enumerate(class_names))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
