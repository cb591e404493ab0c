"""Which settings belong to a stage's key."""

from pathlib import Path
from typing import Any

import pytest
import torch

from runfolder.stages import run_stage
from synthdata.config import ExperimentConfig, StageName, StageSection, load_config
from synthdata.runfolder.changes import setting_differences
from synthdata.runfolder.key import effective_settings, key_parts

CONFIG = load_config("smoke.yaml")


def changed(setting: str, value: Any) -> StageSection:
    """The section of a config in which one setting, such as `train.num_jobs`, is another."""
    stage, *names = setting.split(".")
    values = CONFIG.model_dump()
    inner = values[stage]
    for name in names[:-1]:
        inner = inner[name]
    assert inner[names[-1]] != value
    inner[names[-1]] = value
    return getattr(ExperimentConfig.model_validate(values), stage)  # type: ignore[no-any-return]


def key(stage: StageName, section: StageSection) -> str:
    return key_parts(stage, section, {}, "").digest


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fit.checkpoint_every_s", 600),
        ("generate.shard_size", 5),
        ("score.shard_size", 5),
        ("train.num_jobs", 1),
        ("version.dvc", False),
        ("version.remote", "elsewhere"),
        ("version.commit", True),
    ],
)
def test_a_setting_without_effect_changes_no_key(setting: str, value: Any, tmp_path: Path) -> None:
    stage: StageName = setting.split(".")[0]  # type: ignore[assignment]
    now, then = getattr(CONFIG, stage), changed(setting, value)
    assert key(stage, now) == key(stage, then)
    out_dir = tmp_path / stage
    assert not run_stage(out_dir, stage=stage, section=now).reused
    assert run_stage(out_dir, stage=stage, section=then).reused
    assert not (tmp_path / ".stale").exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fit.seed", 1),
        ("fit.model.channels_last", False),
        ("generate.generators.synthetic.guidance_scale", 3.5),
        ("generate.generators.synthetic.batch_size", 2),
        ("train.threads_per_job", 2),
        ("report.gallery_images", 5),
        ("prepare.image_size", (32, 32)),
    ],
)
def test_a_setting_with_effect_changes_the_key(setting: str, value: Any) -> None:
    stage: StageName = setting.split(".")[0]  # type: ignore[assignment]
    assert key(stage, getattr(CONFIG, stage)) != key(stage, changed(setting, value))


@pytest.mark.parametrize(
    "setting", ["fit.device", "generate.generators.synthetic.device", "train.device"]
)
def test_auto_and_the_device_that_it_stands_for_have_one_key(setting: str) -> None:
    stage: StageName = setting.split(".")[0]  # type: ignore[assignment]
    here, other = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu", "cuda")
    assert key(stage, getattr(CONFIG, stage)) == key(stage, changed(setting, here))
    assert key(stage, getattr(CONFIG, stage)) != key(stage, changed(setting, other))


def test_settings_of_nested_models_are_named() -> None:
    then = CONFIG.generate.model_dump(mode="json")
    now = changed("generate.generators.synthetic.guidance_scale", 3.5)
    assert setting_differences(then, now) == [
        "generators.synthetic.guidance_scale: 1.5 there, 3.5 in the config"
    ]
    assert setting_differences(then, changed("generate.shard_size", 5)) == []


def test_a_record_of_other_settings_is_compared_as_it_stands() -> None:
    then = CONFIG.layout.model_dump(mode="json") | {"shape": "round"}
    assert setting_differences(then, CONFIG.layout) == ["shape: round there, nothing in the config"]


def test_all_other_settings_are_in_the_key() -> None:
    section = CONFIG.layout
    assert effective_settings(section) == section.model_dump(mode="json")
