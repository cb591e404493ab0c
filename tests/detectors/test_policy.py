from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from builders import write_dataset
from synthdata.config.detector import UltralyticsConfig
from synthdata.detectors.base import PhaseSettings, TrainingPhase, TrainSettings
from synthdata.detectors.job_data import training_key
from synthdata.detectors.jobs import prepare_job
from synthdata.detectors.ultralytics import stated_settings
from synthdata.detectors.workers import run_workers
from torch_files import tensors

SETTINGS = TrainSettings(batch_size=4, seed=5, device="cpu")
AUGMENTATIONS = [
    "bgr", "close_mosaic", "copy_paste", "cutmix", "degrees", "fliplr", "flipud", "hsv_h", "hsv_s",
    "hsv_v", "mixup", "mosaic", "multi_scale", "perspective", "scale", "shear", "translate",
]  # fmt: skip


def test_the_default_policy_is_the_trainers_own() -> None:
    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "cfg" / "default.yaml"
    defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = UltralyticsConfig(kind="ultralytics")
    stated = stated_settings(config, SETTINGS, PhaseSettings(defaults["epochs"]))
    assert {name: stated[name] for name in AUGMENTATIONS} == {
        name: defaults[name] for name in AUGMENTATIONS
    }


def test_the_weak_policy_joins_no_images_and_changes_no_colours() -> None:
    config = UltralyticsConfig(kind="ultralytics", policy="weak")
    stated = stated_settings(config, SETTINGS, PhaseSettings(100))
    used = {name: stated[name] for name in AUGMENTATIONS if stated[name]}
    assert used == {"fliplr": 0.5, "scale": 0.5, "translate": 0.1}


def test_what_is_stated_stands_and_the_record_holds_numbers() -> None:
    config = UltralyticsConfig.model_validate(
        {"kind": "ultralytics", "policy": "weak", "hsv_s": 0.3, "mosaic": 0.5}
    )
    recorded = config.model_dump(mode="json")
    assert (recorded["hsv_s"], recorded["hsv_v"], recorded["mosaic"]) == (0.3, 0.0, 0.5)
    assert UltralyticsConfig.model_validate(recorded) == config


@pytest.mark.parametrize(
    ("mosaic", "epochs", "closed"), [(1.0, 37, 4), (1.0, 1, 0), (1.0, 20, 2), (0.0, 20, 0)]
)
def test_the_epochs_without_mosaic_scale_with_the_length(
    mosaic: float, epochs: int, closed: int
) -> None:
    config = UltralyticsConfig(kind="ultralytics", mosaic=mosaic)
    assert stated_settings(config, SETTINGS, PhaseSettings(epochs))["close_mosaic"] == closed


def test_the_key_is_of_the_numbers_whatever_their_names(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, num=4)
    phases = [TrainingPhase(dataset.samples, 1)]
    weak = UltralyticsConfig(kind="ultralytics", policy="weak")
    same = UltralyticsConfig(
        kind="ultralytics", hsv_h=0, hsv_s=0, hsv_v=0, mosaic=0, close_mosaic=0
    )
    usual = UltralyticsConfig(kind="ultralytics")
    keys = [training_key(one, SETTINGS, phases, dataset) for one in (weak, same, usual)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.slow
def test_joined_and_then_single_images_are_the_same_with_the_same_seed(
    config: UltralyticsConfig, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "data", num=4)
    # noise of albumentations before and after ultralytics builds its transforms anew
    closing = config.model_copy(update={"close_mosaic": 0.5})
    never = config.model_copy(update={"close_mosaic": 0.0})
    calls = [
        prepare_job(
            one, SETTINGS, phases=[TrainingPhase(dataset.samples * 2, 4)], dataset=dataset,
            targets={"all": dataset}, job_dir=tmp_path / name,
        )
        for name, one in {"first": closing, "again": closing, "never": never}.items()
    ]  # fmt: skip
    list(run_workers([call for call in calls if call], num_parallel=2))
    first, again, never_closed = (tmp_path / name for name in ("first", "again", "never"))
    assert "Closing dataloader mosaic" in (first / "log.txt").read_text()
    assert "Closing dataloader mosaic" not in (never_closed / "log.txt").read_text()
    assert tensors(first / "weights.pt") == tensors(again / "weights.pt")
    for name in ("losses.csv", "predictions-all.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    losses = [(path / "losses.csv").read_text().splitlines() for path in (first, never_closed)]
    assert [a == b for a, b in zip(*losses, strict=True)] == [True, True, True, False, False]
