from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from builders import CLASS_NAMES, write_dataset
from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import TrainJob, TrainSettings
from synthdata.detectors.job_data import training_key
from synthdata.detectors.jobs import prepare_job
from synthdata.errors import ConfigError, DatasetError
from synthdata.files import read_json
from synthdata.formats.coco import annotations_by_image
from synthdata.samples import Annotations, DetectionDataset

SETTINGS = TrainSettings(epochs=2, batch_size=2, seed=3)
HAS_GPU = torch.cuda.is_available()


@pytest.fixture
def dataset(tmp_path: Path) -> DetectionDataset:
    return write_dataset(tmp_path / "data", num=3)


def test_job_folder_holds_the_data_in_yolo_and_coco_form(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    listed = [dataset.samples[i] for i in (0, 2, 0, 0)]
    job_dir = tmp_path / "job"
    call = prepare_job(
        config, SETTINGS, train=listed, dataset=dataset, targets={"val": dataset}, job_dir=job_dir
    )
    assert call is not None
    assert call.job_dir == job_dir
    data = job_dir / "scratch" / "data"
    first, second = "./images/image-000.png", "./images/image-002.png"
    assert (data / "train.txt").read_text().splitlines() == [first, second, first, first]
    assert sorted(p.name for p in (data / "images").iterdir()) == ["image-000.png", "image-002.png"]
    rows = np.loadtxt(data / "labels" / "image-000.txt", ndmin=2)
    np.testing.assert_array_equal(rows[:, 0], listed[0].annotations.class_id)
    assert yaml.safe_load((data / "data.yaml").read_text())["names"] == dict(enumerate(CLASS_NAMES))
    coco = annotations_by_image(read_json(data / "annotations.json"))
    np.testing.assert_allclose(coco[1].xyxy, listed[0].annotations.xyxy, rtol=1e-6)
    job = TrainJob.load(job_dir)
    assert job.settings == replace(SETTINGS, device="cuda" if HAS_GPU else "cpu")
    image = job_dir / job.targets["val"][1]
    assert image.resolve() == dataset.image_path(dataset.samples[1]).resolve()


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="device is 'cuda' but torch sees no GPU"):
        prepare_job(
            config, replace(SETTINGS, device="cuda"), train=dataset.samples[:2], dataset=dataset,
            targets={}, job_dir=tmp_path / "job",
        )  # fmt: skip
    assert not (tmp_path / "job").exists()


def test_refuses_a_list_that_leaves_a_batch_half_full(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="multiple of the batch size of 2 images, got 3"):
        prepare_job(
            config, SETTINGS, train=dataset.samples, dataset=dataset, targets={}, job_dir=tmp_path
        )


def test_key_depends_on_all_that_decides_the_weights(
    dataset: DetectionDataset, config: UltralyticsConfig
) -> None:
    first, second, third = dataset.samples
    moved = Annotations(first.annotations.xyxy + 1, first.annotations.class_id)
    names = replace(dataset, class_names=("a", "b", "c"))
    other_config = config.model_copy(update={"learning_rate": 0.1})
    keys = [
        training_key(config, SETTINGS, [first, second], dataset),
        training_key(config, SETTINGS, [first, third], dataset),
        training_key(config, SETTINGS, [first, second, first, second], dataset),
        training_key(config, SETTINGS, [replace(first, annotations=moved), second], dataset),
        training_key(config, SETTINGS, [replace(first, sha256="0"), second], dataset),
        training_key(config, SETTINGS, [first, second], names),
        training_key(other_config, SETTINGS, [first, second], dataset),
    ]
    changes = ({"epochs": 3}, {"batch_size": 1}, {"seed": 4}, {"threads": 2})
    keys += [
        training_key(config, replace(SETTINGS, **change), [first, second], dataset)
        for change in changes
    ]
    assert len(set(keys)) == len(keys)


def test_key_is_of_the_content_wherever_it_lies(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    elsewhere = write_dataset(tmp_path / "elsewhere", num=3)
    unhashed = [replace(sample, sha256="") for sample in elsewhere]
    assert training_key(config, SETTINGS, unhashed, elsewhere) == training_key(
        config, SETTINGS, dataset.samples, dataset
    )


def test_what_another_job_left_is_removed(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    listed = dataset.samples[:2]
    job_dir = tmp_path / "job"

    def prepare(settings: TrainSettings, target: DetectionDataset) -> bool:
        call = prepare_job(
            config, settings, train=listed, dataset=dataset, targets={"val": target},
            job_dir=job_dir,
        )  # fmt: skip
        return call is None

    assert not prepare(SETTINGS, dataset)
    for name in ("training.json", "weights.pt", "predictions-val.json"):
        (job_dir / name).write_text("[]")
    assert prepare(SETTINGS, dataset)
    assert not prepare(SETTINGS, write_dataset(tmp_path / "other", num=2, seed=5))
    assert (job_dir / "weights.pt").is_file()
    assert not (job_dir / "predictions-val.json").exists()
    assert not prepare(replace(SETTINGS, seed=4), dataset)
    assert not (job_dir / "weights.pt").exists()
