"""What a stage's command makes first, or refuses."""

from pathlib import Path

import pytest

from runfolder.stages import run_stage
from synthdata.config import STAGES, ExperimentConfig, load_config
from synthdata.errors import RunError
from synthdata.plan import Step, plan
from synthdata.upstream import is_fresh, refuse_differences, upstream_of


def experiment(*overrides: str) -> ExperimentConfig:
    return load_config("smoke.yaml", overrides)


def step_of(steps: list[Step], name: str, seed: int) -> Step:
    return next(step for step in steps if (step.stage, step.seed) == (name, seed))


def finish(config: ExperimentConfig, workspace: Path) -> list[Step]:
    """Do a plan's steps for one seed, with work that leaves nothing."""
    steps = [step for step in plan(config, workspace) if step.stage != "report"]
    for step in steps:
        run_stage(step.out_dir, stage=step.stage, section=step.section, inputs=step.inputs)
    return steps


def test_all_that_a_stage_needs_comes_before_it(tmp_path: Path) -> None:
    steps = plan(experiment("shared_through=null"), tmp_path)
    upstream = upstream_of(steps, [step_of(steps, "filter", 1)])
    assert [(step.stage, step.seed) for step in upstream] == [
        (stage, 1) for stage in ("prepare", "fit", "layout", "generate")
    ]
    assert upstream_of(steps, steps[-1:]) == steps[:-1]


def test_a_shared_stage_needs_the_first_repetition(tmp_path: Path) -> None:
    steps = plan(experiment("shared_through=fit"), tmp_path)
    upstream = upstream_of(steps, [step_of(steps, "layout", 1)])
    assert [(step.stage, step.seed) for step in upstream] == [("prepare", 0), ("prepare", 1)]


def test_what_is_finished_with_this_config_is_fresh(tmp_path: Path) -> None:
    steps = finish(experiment("seeds=[0]"), tmp_path)
    assert {step.stage for step in steps if not is_fresh(step)} == {"prepare"}
    (steps[3].out_dir / "config.yaml").unlink()
    assert steps[3].stage == "generate"
    stale = {step.stage for step in steps if not is_fresh(step)}
    assert stale == {"prepare", "generate", "score", "filter", "version"}


def test_another_setting_or_input_is_not_fresh(tmp_path: Path) -> None:
    finish(experiment("seeds=[0]"), tmp_path)
    other = experiment("seeds=[0]", "layout.jitter=0.5", "generate.shard_size=3")
    steps = plan(other, tmp_path)
    assert [step.stage for step in steps[:-1] if not is_fresh(step)] == ["prepare", "layout"]
    layout = step_of(steps, "layout", 0)
    run_stage(layout.out_dir, section=layout.section, inputs=layout.inputs)
    assert is_fresh(layout)
    assert not is_fresh(step_of(steps, "generate", 0))


def test_only_names_each_setting_that_differs(tmp_path: Path) -> None:
    finish(experiment("seeds=[0]"), tmp_path)
    other = experiment(
        "seeds=[0]", "prepare.image_size=[640,360]",
        "pools.synthetic.generator.guidance_scale=3.5", "generate.shard_size=3",
    )  # fmt: skip
    steps = plan(other, tmp_path)

    def refused(stages: tuple[str, ...]) -> str:
        with pytest.raises(RunError) as told:
            refuse_differences("train", [one for one in steps if one.stage in stages])
        return str(told.value)

    assert "  prepare.image_size: [64, 48] there, [640, 360] in the config" in refused(STAGES)
    said = refused(("generate",))
    assert "generate.pools.synthetic.generator.guidance_scale: 1.5 there, 3.5 in the config" in said
    assert "shard_size" not in said
    refuse_differences("train", [step_of(steps, "layout", 0), step_of(steps, "version", 0)])


def test_only_refuses_what_is_not_finished(tmp_path: Path) -> None:
    steps = plan(experiment(), tmp_path)
    with pytest.raises(RunError, match="layout needs prepare at .*isn't finished"):
        refuse_differences("layout", upstream_of(steps, [step_of(steps, "layout", 0)]))
