from pathlib import Path

import pytest

from synthdata.config import STAGES, ExperimentConfig, StageName, load_config
from synthdata.config.filter import FilterConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.report import ReportConfig
from synthdata.config.score import ScoreConfig
from synthdata.config.version import VersionConfig
from synthdata.datasets.sources import shifted_fingerprint, source_fingerprint
from synthdata.errors import ConfigError
from synthdata.plan import plan, plan_filter_ablation
from synthdata.runfolder.key import key_parts


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
    version = steps["version", 3].section
    assert isinstance(version, VersionConfig)
    assert list(version.arms) == [
        "synthetic_random_drop", "synthetic", "synthetic_manifold", "synthetic_clip",
        "synthetic_memorisation", "synthetic_detector", "synthetic_filtered",
    ]  # fmt: skip
    keeps = [part.keep for arm in version.arms.values() for _, part in arm.extras()]
    assert keeps == [
        "random_drop", None, "manifold", "clip", "memorisation", "detector", "filtered",
    ]  # fmt: skip
    # One drop at random for all repetitions might be a lucky one.
    assert steps["score", 7].linked_from == run / "seed-3" / "score"
    assert steps["filter", 7].linked_from is None
    assert steps["filter", 7].section.seed == 7
    assert steps["version", 7].inputs["filter"] == steps["filter", 7].out_dir
    assert steps["train", 3].inputs["version"] == steps["version", 3].out_dir
    report = steps["report", None].section
    assert isinstance(report, ReportConfig)
    assert report.contrasts == tuple(
        (f"synthetic_{kept}", "synthetic_random_drop")
        for kept in ("filtered", "manifold", "clip", "detector")
    ), "one family of four; memorisation ranks nothing"


def test_one_filter_alone_is_no_arm_of_its_own(workspace: Path) -> None:
    config = load_config("quickstart.yaml", ["filter.filters=[{kind: manifold}]"])

    steps = plan_filter_ablation(config, workspace)

    version = next(step.section for step in steps if step.stage == "version")
    assert isinstance(version, VersionConfig)
    assert list(version.arms) == ["synthetic_random_drop", "synthetic", "synthetic_filtered"]


def test_a_filter_ablation_needs_an_arm_that_is_filtered(workspace: Path) -> None:
    arms = "arms={real: {role: reference}, all: {extra: {synthetic: 0.5}}}"
    config = load_config("quickstart.yaml", [arms, "contrasts=[]"])
    with pytest.raises(ConfigError, match="needs an arm that takes what the filters keep"):
        plan_filter_ablation(config, workspace)


def test_what_no_arm_asks_for_is_not_run(workspace: Path) -> None:
    arms = "arms={real: {role: reference}, pasted: {extra: {copy_paste: 0.5}}}"
    config = load_config("quickstart.yaml", [arms, "contrasts=[[pasted,real]]", "seeds=[0]"])

    steps = {step.stage: step for step in plan(config, workspace)}

    assert list(steps) == ["prepare", "generate", "version", "train", "report"]
    assert set(steps["generate"].inputs) == {"prepare"}
    assert set(steps["version"].inputs) == {"prepare", "generate"}
    real_alone = load_config(
        "quickstart.yaml", ["arms={real: {role: reference}}", "contrasts=[]", "seeds=[0]"]
    )
    stages = [step.stage for step in plan(real_alone, workspace)]
    assert stages == ["prepare", "version", "train", "report"]


def test_layouts_are_made_for_each_balance_that_a_pool_asks_for(workspace: Path) -> None:
    config = load_config(
        "quickstart.yaml",
        [
            "layout.balance=0.25",
            "pools.even={kind: generator, generator: {kind: controlnet}, balance: 1}",
            "arms.even={extra: {even: 0.5}}",
        ],
    )

    steps = {step.stage: step.section for step in plan(config, workspace)}

    assert isinstance(steps["layout"], LayoutConfig)
    assert steps["layout"].balances == (0.25, 1.0)
    assert isinstance(steps["generate"], GenerateConfig)
    balances = [getattr(pool, "balance", None) for pool in steps["generate"].pools.values()]
    assert balances == [0.25, 0.5, 1.0], "copy-paste has its own"


def test_what_the_plan_sets_follows_from_the_rest(workspace: Path) -> None:
    shifted = "evaluation.shifted={other: {source: {kind: digits, dataset_seed: 1}}}"
    config = load_config("quickstart.yaml", [shifted])

    steps = {step.stage: step.section for step in plan(config, workspace)}

    assert isinstance(steps["filter"], FilterConfig)
    assert steps["filter"].pools == ("synthetic",)
    assert isinstance(steps["version"], VersionConfig)
    assert set(steps["version"].shifted) == {"other"}
    assert steps["version"].batch_size == config.train.batch_size
    assert steps["version"].arms["real"].title == "Real only"
    assert isinstance(steps["score"], ScoreConfig)
    assert steps["score"].pool == "synthetic"


def test_a_further_shifted_set_leaves_what_was_made_before_version(workspace: Path) -> None:
    """Fit and generate take hours; an evaluation set is no reason to repeat them."""
    further = "evaluation.shifted.pencil={source: {kind: digits, ink: pencil}}"
    keys = [
        planned_keys(load_config("quickstart.yaml", overrides), workspace)
        for overrides in ([], [further])
    ]

    assert keys[0].keys() == keys[1].keys()
    changed = {stage for stage, seed in keys[0] if keys[0][stage, seed] != keys[1][stage, seed]}
    assert changed == {"version", "train", "report"}


def planned_keys(
    config: ExperimentConfig, workspace: Path
) -> dict[tuple[StageName, int | None], str]:
    """Return the keys that the stages of a run have."""
    keys: dict[Path, str] = {}
    steps = plan(config, workspace)
    for step in steps:
        fingerprint = ""
        if isinstance(step.section, PrepareConfig):
            fingerprint = source_fingerprint(step.section, workspace)
        if isinstance(step.section, VersionConfig):
            fingerprint = shifted_fingerprint(step.section.shifted, workspace)
        inputs = {name: keys[folder] for name, folder in step.inputs.items()}
        keys[step.out_dir] = key_parts(step.stage, step.section, inputs, fingerprint).digest
    return {(step.stage, step.seed): keys[step.out_dir] for step in steps}
