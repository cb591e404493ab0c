from pathlib import Path

import pytest

from synthdata.config import STAGES, load_config
from synthdata.errors import ConfigError
from synthdata.plan import plan, plan_filter_ablation


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path


def test_every_input_is_made_before_it_is_read(workspace: Path) -> None:
    made: set[Path] = set()
    for step in plan(load_config("quickstart.yaml"), workspace):
        assert set(step.inputs.values()) <= made, step
        made.add(step.out_dir)
    assert workspace / "runs" / "quickstart" / "report" in made


def test_each_repetition_has_its_own_seed_in_every_section(workspace: Path) -> None:
    config = load_config("quickstart.yaml", ["shared_through=null", "seeds=[3,7]"])
    steps = plan(config, workspace)
    assert [step.section.seed for step in steps] == [3] * 8 + [7] * 8 + [0]
    assert all(step.linked_from is None for step in steps)


def test_shared_stages_are_linked_to_the_first_repetition(workspace: Path) -> None:
    config = load_config("quickstart.yaml", ["shared_through=filter", "seeds=[3,7]"])
    second = [step for step in plan(config, workspace) if step.seed == 7]
    linked = [step.stage for step in second if step.linked_from]
    assert linked == list(STAGES[:6])
    assert second[0].linked_from == workspace / "runs" / "quickstart" / "seed-3" / "prepare"
    assert [step.section.seed for step in second] == [3] * 6 + [7] * 2


def test_a_filter_ablation_shares_the_run_and_has_arms_of_its_own(workspace: Path) -> None:
    config = load_config("quickstart.yaml", ["seeds=[3,7]", "shared_through=version"])
    run = workspace / "runs" / "quickstart"
    of_run = {(s.stage, s.seed): s for s in plan(config, workspace)}

    steps = {(s.stage, s.seed): s for s in plan_filter_ablation(config, workspace)}

    assert steps.keys() == of_run.keys()
    for key, step in steps.items():
        if key[0] in ("filter", "version", "train", "report"):
            assert step.out_dir.is_relative_to(run.with_name("quickstart-filter-ablation"))
        else:
            assert step == of_run[key]
    assert steps["version", 3].section.arms == (
        "synthetic_random_drop", "synthetic", "synthetic_manifold", "synthetic_clip",
        "synthetic_memorisation", "synthetic_detector", "synthetic_filtered",
    )  # fmt: skip
    # One drop at random for all repetitions might be a lucky one.
    assert steps["score", 7].linked_from == run / "seed-3" / "score"
    assert steps["filter", 7].linked_from is None
    assert steps["filter", 7].section.seed == 7
    assert steps["version", 7].inputs["filter"] == steps["filter", 7].out_dir
    assert steps["train", 3].inputs["version"] == steps["version", 3].out_dir
    assert steps["report", None].section.reference == "synthetic_random_drop"


def test_one_filter_alone_is_no_arm_of_its_own(workspace: Path) -> None:
    config = load_config("quickstart.yaml")
    section = config.filter.model_copy(update={"filters": config.filter.filters[:1]})

    steps = plan_filter_ablation(config.model_copy(update={"filter": section}), workspace)

    version = next(step for step in steps if step.stage == "version")
    assert version.section.arms == ("synthetic_random_drop", "synthetic", "synthetic_filtered")


def test_a_filter_ablation_is_of_the_synthetic_pool(workspace: Path) -> None:
    with pytest.raises(ConfigError, match="needs filter.pool to be 'synthetic'"):
        plan_filter_ablation(load_config("quickstart.yaml", ["filter.pool=copy_paste"]), workspace)
