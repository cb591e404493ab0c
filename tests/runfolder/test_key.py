"""Which settings belong to a stage's key."""

from pathlib import Path

import pytest
import torch

from runfolder.stages import run_stage
from synthdata.config import StageName, StageSection, load_config
from synthdata.plan import plan
from synthdata.runfolder.changes import setting_differences
from synthdata.runfolder.key import effective_settings, key_parts


def sections(*overrides: str) -> dict[StageName, StageSection]:
    """The sections of the smoke config's first repetition, as the plan completes them."""
    steps = plan(load_config("smoke.yaml", overrides), Path())
    return {step.stage: step.section for step in reversed(steps)}


SECTIONS = sections()
GENERATOR = "pools.synthetic.generator"


def key(stage: StageName, *overrides: str) -> str:
    return key_parts(stage, sections(*overrides)[stage], {}, "").digest


@pytest.mark.parametrize(
    ("stage", "override"),
    [
        ("fit", "fit.checkpoint_every_s=600"),
        ("generate", "generate.shard_size=5"),
        ("score", "score.shard_size=5"),
        ("train", "train.num_jobs=1"),
        ("train", "train.detector.policy=default"),
        ("version", "version.dvc=false"),
        ("version", "version.remote=elsewhere"),
        ("version", "version.commit=true"),
    ],
)
def test_a_setting_without_effect_changes_no_key(
    stage: StageName, override: str, tmp_path: Path
) -> None:
    assert key(stage) == key(stage, override)
    out_dir = tmp_path / stage
    assert not run_stage(out_dir, stage=stage, section=SECTIONS[stage]).reused
    assert run_stage(out_dir, stage=stage, section=sections(override)[stage]).reused
    assert not (tmp_path / ".stale").exists()


@pytest.mark.parametrize(
    ("stage", "override"),
    [
        ("fit", "seeds=[3]"),
        ("fit", "fit.model.channels_last=false"),
        ("generate", f"{GENERATOR}.guidance_scale=3.5"),
        ("generate", f"{GENERATOR}.batch_size=2"),
        ("layout", "layout.balance=0.5"),
        ("version", "arms.synthetic.extra.synthetic=0.25"),
        ("train", "train.threads_per_job=2"),
        ("report", "report.gallery_images=5"),
        ("report", "contrasts=[[synthetic,real]]"),
        ("prepare", "prepare.image_size=[32,32]"),
    ],
)
def test_a_setting_with_effect_changes_the_key(stage: StageName, override: str) -> None:
    assert key(stage) != key(stage, override)


@pytest.mark.parametrize(
    ("stage", "setting"),
    [("fit", "fit.device"), ("generate", f"{GENERATOR}.device"), ("train", "train.device")],
)
def test_auto_and_the_device_that_it_stands_for_have_one_key(
    stage: StageName, setting: str
) -> None:
    here, other = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu", "cuda")
    assert key(stage) == key(stage, f"{setting}={here}")
    assert key(stage) != key(stage, f"{setting}={other}")


def test_settings_of_nested_models_are_named() -> None:
    then = SECTIONS["generate"].model_dump(mode="json")
    now = sections(f"{GENERATOR}.guidance_scale=3.5")["generate"]
    assert setting_differences(then, now) == [
        "pools.synthetic.generator.guidance_scale: 1.5 there, 3.5 in the config"
    ]
    assert setting_differences(then, sections("generate.shard_size=5")["generate"]) == []


def test_a_record_of_other_settings_is_compared_as_it_stands() -> None:
    layout = SECTIONS["layout"]
    then = layout.model_dump(mode="json") | {"shape": "round"}
    assert setting_differences(then, layout) == ["shape: round there, nothing in the config"]


def test_all_other_settings_are_in_the_key() -> None:
    section = SECTIONS["layout"]
    assert effective_settings(section) == section.model_dump(mode="json")
