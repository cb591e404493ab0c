from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from builders import CLASS_NAMES, write_dataset
from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import PhaseSettings, TrainingPhase, TrainJob, TrainSettings
from synthdata.detectors.job_data import training_key
from synthdata.detectors.jobs import prepare_job, read_predictions
from synthdata.detectors.workers import WorkerCall
from synthdata.errors import ConfigError, DatasetError, RunError
from synthdata.files import read_json, sha256_file, write_json
from synthdata.formats.coco import annotations_by_image
from synthdata.samples import Annotations, DetectionDataset, Sample

SETTINGS = TrainSettings(batch_size=2, seed=3)
HAS_GPU = torch.cuda.is_available()


def phases(train: Sequence[Sample]) -> list[TrainingPhase]:
    return [TrainingPhase(train, epochs=2)]


def write_results(job_dir: Path) -> None:
    """Write what a worker leaves that trained and predicted `val`."""
    (job_dir / "weights.pt").write_text("weights")
    digest = sha256_file(job_dir / "weights.pt")
    write_json(job_dir / "training.json", {"steps": 2, "weights_sha256": digest})
    (job_dir / "predictions-val.json").write_text("[]")


@pytest.fixture
def dataset(tmp_path: Path) -> DetectionDataset:
    return write_dataset(tmp_path / "data", num=3)


def test_job_folder_holds_the_data_in_yolo_and_coco_form(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    listed = [dataset.samples[i] for i in (0, 2, 0, 0)]
    job_dir = tmp_path / "job"
    call = prepare_job(
        config,
        SETTINGS,
        phases=[TrainingPhase(listed, epochs=2), TrainingPhase(listed[:2], 1, learning_rate=0.1)],
        dataset=dataset,
        targets={"val": dataset},
        job_dir=job_dir,
    )
    assert call is not None
    assert call.job_dir == job_dir
    data = job_dir / "scratch" / "data"
    first, second = "./images/image-000.png", "./images/image-002.png"
    assert (data / "train.txt").read_text().splitlines() == [first, second, first, first]
    assert (data / "train-2.txt").read_text().splitlines() == [first, second]
    assert yaml.safe_load((data / "data-2.yaml").read_text())["train"] == "train-2.txt"
    assert sorted(p.name for p in (data / "images").iterdir()) == ["image-000.png", "image-002.png"]
    rows = np.loadtxt(data / "labels" / "image-000.txt", ndmin=2)
    np.testing.assert_array_equal(rows[:, 0], listed[0].annotations.class_id)
    assert yaml.safe_load((data / "data.yaml").read_text())["names"] == dict(enumerate(CLASS_NAMES))
    coco = annotations_by_image(read_json(data / "annotations.json"))
    np.testing.assert_allclose(coco[1].xyxy, listed[0].annotations.xyxy, rtol=1e-6)
    job = TrainJob.load(job_dir)
    assert job.phases == [PhaseSettings(2, 1.0), PhaseSettings(1, 0.1)]
    assert job.settings == replace(SETTINGS, device="cuda" if HAS_GPU else "cpu")
    image = job_dir / job.targets["val"][1]
    assert image.resolve() == dataset.image_path(dataset.samples[1]).resolve()


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="device is 'cuda' but torch sees no GPU"):
        prepare_job(
            config, replace(SETTINGS, device="cuda"), phases=phases(dataset.samples[:2]),
            dataset=dataset, targets={}, job_dir=tmp_path / "job",
        )  # fmt: skip
    assert not (tmp_path / "job").exists()


def test_refuses_a_list_that_leaves_a_batch_half_full(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    even, odd = phases(dataset.samples[:2]), phases(dataset.samples)
    wrong = {"got 3": odd, "got 2 and 3": even + odd, "got 0": phases([]), "got no phase": []}
    for message, listed in wrong.items():
        with pytest.raises(DatasetError, match=f"a multiple of .* 2 images, {message}"):
            prepare_job(
                config, SETTINGS, phases=listed, dataset=dataset, targets={}, job_dir=tmp_path
            )


def test_key_depends_on_all_that_decides_the_weights(
    dataset: DetectionDataset, config: UltralyticsConfig
) -> None:
    first, second, third = dataset.samples
    moved = Annotations(first.annotations.xyxy + 1, first.annotations.class_id)
    names = replace(dataset, class_names=("a", "b", "c"))
    other_config = config.model_copy(update={"learning_rate": 0.1})
    usual = phases([first, second])
    keys = [
        training_key(config, SETTINGS, usual, dataset),
        training_key(config, SETTINGS, phases([first, third]), dataset),
        training_key(config, SETTINGS, phases([first, second, first, second]), dataset),
        training_key(
            config, SETTINGS, phases([replace(first, annotations=moved), second]), dataset
        ),
        training_key(config, SETTINGS, phases([replace(first, sha256="0"), second]), dataset),
        training_key(config, SETTINGS, usual, names),
        training_key(other_config, SETTINGS, usual, dataset),
        training_key(config, SETTINGS, [replace(usual[0], epochs=3)], dataset),
        training_key(config, SETTINGS, [replace(usual[0], learning_rate=0.1)], dataset),
        training_key(config, SETTINGS, [replace(usual[0], epochs=1)] * 2, dataset),
    ]
    changes = ({"batch_size": 1}, {"seed": 4}, {"threads": 2})
    keys += [
        training_key(config, replace(SETTINGS, **change), usual, dataset) for change in changes
    ]
    assert len(set(keys)) == len(keys)


def test_key_is_of_the_content_wherever_it_lies(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    elsewhere = write_dataset(tmp_path / "elsewhere", num=3)
    unhashed = [replace(sample, sha256="") for sample in elsewhere]
    assert training_key(config, SETTINGS, phases(unhashed), elsewhere) == training_key(
        config, SETTINGS, phases(dataset.samples), dataset
    )


def test_what_another_job_left_is_removed(
    dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    listed = dataset.samples[:2]
    job_dir = tmp_path / "job"

    def prepare(settings: TrainSettings, target: DetectionDataset) -> bool:
        call = prepare_job(
            config, settings, phases=phases(listed), dataset=dataset,
            targets={"val": target}, job_dir=job_dir,
        )  # fmt: skip
        return call is None

    assert not prepare(SETTINGS, dataset)
    write_results(job_dir)
    assert prepare(SETTINGS, dataset)
    assert not prepare(SETTINGS, write_dataset(tmp_path / "other", num=2, seed=5))
    assert (job_dir / "weights.pt").is_file()
    assert not (job_dir / "predictions-val.json").exists()
    assert not prepare(replace(SETTINGS, seed=4), dataset)
    assert not (job_dir / "weights.pt").exists()


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        ("job.json", set()),
        ("training.json", set()),
        ("weights.pt", set()),
        ("predictions-val.json", {"training.json", "weights.pt"}),
    ],
)
@pytest.mark.parametrize("content", ["", '{"key": "12', "null"])
def test_a_damaged_file_counts_as_missing(
    damaged: str,
    kept: set[str],
    content: str,
    dataset: DetectionDataset,
    config: UltralyticsConfig,
    tmp_path: Path,
) -> None:
    job_dir = tmp_path / "job"

    def prepare() -> WorkerCall | None:
        return prepare_job(
            config, SETTINGS, phases=phases(dataset.samples[:2]),
            dataset=dataset, targets={"val": dataset}, job_dir=job_dir,
        )  # fmt: skip

    prepare()
    write_results(job_dir)
    assert prepare() is None
    (job_dir / damaged).write_text(content)
    assert prepare() is not None
    assert {path.name for path in job_dir.iterdir()} == {"job.json", "scratch", *kept} - {
        "scratch" if kept else ""
    }
    assert TrainJob.load(job_dir).targets.keys() == {"val"}


def test_damaged_predictions_of_finished_work_are_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions-val.json"
    for content in (None, "", '[{"image_id": 1'):
        if content is not None:
            path.write_text(content)
        with pytest.raises(RunError, match=r"predictions-val\.json is missing or damaged"):
            read_predictions(tmp_path, "val", num_images=1)


@pytest.mark.parametrize("damage", [b"", None])
def test_refuses_images_that_are_not_those_of_the_manifest(
    damage: bytes | None, dataset: DetectionDataset, config: UltralyticsConfig, tmp_path: Path
) -> None:
    other = write_dataset(tmp_path / "other", num=2, seed=5)

    def prepare() -> None:
        prepare_job(
            config, SETTINGS, phases=phases(dataset.samples[:2]),
            dataset=dataset, targets={"val": other}, job_dir=tmp_path / "job",
        )  # fmt: skip

    prepare()
    for name, source in {"image-001": dataset, "image-000": other}.items():
        path = source.root / "images" / f"{name}.png"
        content = path.read_bytes()
        path.unlink()  # it is one file with the link in the job's folder
        if damage is not None:
            path.write_bytes(damage)
        expected = sha256_file(path) if damage is not None else "no file"
        with pytest.raises(DatasetError, match=rf"{name}\.png isn't the image .* got {expected}"):
            prepare()
        path.write_bytes(content)
    prepare()
