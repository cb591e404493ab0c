"""Questions that a user may ask: each is a recipe, and makes what it needs and no more."""

from pathlib import Path
from typing import Any

import pytest

from synthdata.config import StageName, StageSection, load_config
from synthdata.config.generate import GenerateConfig
from synthdata.config.version import VersionConfig
from synthdata.plan import plan
from synthdata.runfolder.key import key_parts

FREE = ["prepare", "generate", "version", "train", "report"]
GENERATED = ["prepare", "fit", "layout", "generate", "version", "train", "report"]
SCORED = ["prepare", "fit", "layout", "generate", "score", "version", "train", "report"]
IMG2IMG = "pools.redrawn={kind: generator, generator: {kind: img2img}}"
INPAINT = "pools={painted: {kind: generator, generator: {kind: inpaint}}}"
RENDERS = "pools.renders={kind: folder, path: renders, format: coco}"


def planned(*overrides: str) -> dict[StageName, StageSection]:
    config = load_config("quickstart.yaml", ["seeds=[0]", *overrides])
    return {step.stage: step.section for step in plan(config, Path())}


def arms(**recipes: str) -> str:
    """Return the override that states the reference and these arms."""
    stated = ", ".join(f"{name}: {recipe}" for name, recipe in recipes.items())
    return f"arms={{real: {{role: reference}}, {stated}}}"


@pytest.mark.parametrize(
    ("overrides", "stages", "pools", "roles"),
    [
        pytest.param(
            [arms(mix="{extra: {copy_paste: 0.2, synthetic: 0.3}}"), "contrasts=[[mix,real]]"],
            SCORED, ["synthetic", "copy_paste"], ["candidate"], id="a mix of two pools",
        ),
        pytest.param(
            [arms(real_rfs="{sampling: repeat_factor}"), "contrasts=[[real_rfs,real]]"],
            ["prepare", "version", "train", "report"], [], ["free"], id="repeat-factor sampling",
        ),
        pytest.param(
            [arms(**{"7-of_9": "{extra: {copy_paste: 0.2}}"}), "contrasts=[['7-of_9',real]]"],
            FREE, ["copy_paste"], ["free"], id="any name",
        ),
        pytest.param(
            [IMG2IMG, arms(a="{extra: {synthetic: 0.5}}", b="{extra: {redrawn: 0.5}}"),
             "contrasts=[[a,b]]"],
            SCORED, ["synthetic", "redrawn"], ["candidate", "candidate"], id="two generators",
        ),
        pytest.param(
            [IMG2IMG, arms(a="{extra: {synthetic: 0.5}}"), "contrasts=[[a,real]]"],
            SCORED, ["synthetic"], ["candidate"], id="a second generator that no arm uses",
        ),
        pytest.param(
            ["fit=null", "score=null", "filter=null", "pools={pasted: {kind: paste}}",
             arms(a="{extra: {pasted: 0.5}}"), "contrasts=[[a,real]]"],
            FREE, ["pasted"], ["free"], id="copy-paste, no diffusion model",
        ),
        pytest.param(
            [INPAINT, arms(a="{extra: {painted: 0.5}}"), "contrasts=[[a,real]]"],
            GENERATED, ["painted"], ["candidate"], id="inpainting alone, with a section score",
        ),
        pytest.param(
            [RENDERS, arms(a="{extra: {renders: 0.5}}"), "contrasts=[[a,real]]"],
            FREE, ["renders"], ["candidate"], id="images of one's own",
        ),
        pytest.param(
            [RENDERS, "pools.on_renders={kind: paste, onto: renders}",
             arms(a="{extra: {on_renders: 0.5}}"), "contrasts=[[a,real]]"],
            FREE, ["renders", "on_renders"], ["candidate"], id="objects pasted on one's own images",
        ),
        pytest.param(
            [arms(a="{extra: {copy_paste: 0.1}}", b="{extra: {copy_paste: 1}}"),
             "contrasts=[[a,b]]"],
            FREE, ["copy_paste"], ["free", "free"], id="a share for each arm",
        ),
    ],
)  # fmt: skip
def test_a_question_is_a_recipe(
    overrides: list[str], stages: list[str], pools: list[str], roles: list[str]
) -> None:
    sections = planned(*overrides)

    assert list(sections) == stages
    made: Any = sections.get("generate", GenerateConfig())
    assert list(made.pools) == pools
    version = sections["version"]
    assert isinstance(version, VersionConfig)
    assert [arm.role for arm in version.arms.values()] == ["reference", *roles]


def test_each_arm_keeps_its_own_shares() -> None:
    version = planned(
        arms(a="{extra: {copy_paste: 0.1}}", b="{extra: {copy_paste: 0.2, synthetic: 0.8}}"),
        "contrasts=[]",
    )["version"]
    assert isinstance(version, VersionConfig)
    shares = [{p: part.share for p, part in arm.extras()} for arm in version.arms.values()]
    assert shares == [{}, {"copy_paste": 0.1}, {"copy_paste": 0.2, "synthetic": 0.8}]
    assert [round(arm.real_share, 9) for arm in version.arms.values()] == [1, 0.9, 0]


@pytest.mark.parametrize(
    "edit",
    [
        "arms.more={extra: {copy_paste: 0.2, synthetic: {share: 0.3, keep: filtered}}}",
        "arms.real_rfs={sampling: repeat_factor}",
        "arms.turns={phases: [{steps: 0.6, extra: {synthetic: 0.8}}, {steps: 0.4}]}",
    ],
)
def test_an_arm_is_one_edit_and_repeats_nothing_before_its_list(edit: str) -> None:
    now, then = keys_of(), keys_of(edit)

    assert now.keys() == then.keys()
    assert {stage for stage in now if now[stage] != then[stage]} == {"version", "train", "report"}


def test_a_pool_is_made_with_the_first_arm_that_takes_it() -> None:
    """Until then it changes nothing; then fit and layouts stay as they are."""
    now, stated = keys_of(), keys_of(RENDERS)
    taken = keys_of(RENDERS, "arms.brought={extra: {renders: 0.5}}")

    assert now == stated
    changed = {stage for stage in now if now[stage] != taken[stage]}
    assert changed == {"generate", "score", "filter", "version", "train", "report"}


def keys_of(*overrides: str) -> dict[StageName, str]:
    """Return the keys that the stages of the quickstart have, each with its inputs' keys."""
    keys: dict[Path, str] = {}
    config = load_config("quickstart.yaml", ["seeds=[0]", *overrides])
    steps = plan(config, Path())
    for step in steps:
        inputs = {name: keys[folder] for name, folder in step.inputs.items()}
        keys[step.out_dir] = key_parts(step.stage, step.section, inputs, "").digest
    return {step.stage: keys[step.out_dir] for step in steps}
