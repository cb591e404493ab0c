from pathlib import Path

import pytest
import yaml

from synthdata.config import ExperimentConfig, load_config
from synthdata.config.composite import CompositeConfig
from synthdata.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"smoke.yaml", "quickstart.yaml", "bccd-24.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", [*CONFIGS, *BENCHMARKS], ids=lambda path: path.name)
def test_every_config_loads_under_its_own_name(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_the_ladder_compares_composites_with_the_pool_that_they_are_made_of() -> None:
    config = load_config(ROOT / "benchmarks" / "ladder.yaml")
    composites = {n: p for n, p in config.pools.items() if isinstance(p, CompositeConfig)}
    arms = config.resolved_arms()
    assert {pool.onto for pool in composites.values()} == {"pasted"}
    for name in composites:
        (arm,) = (arm for arm in arms.values() if name in arm.extra)
        assert arm.role == "candidate"
        twin = arms[arm.twin or ""]
        assert (twin.role, set(twin.extra)) == ("free", {"pasted"})
        assert twin.extra["pasted"].share == arm.extra[name].share


def test_params_yaml_names_the_config_that_it_repeats() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    config = load_config(ROOT / params["config"])
    assert (params["name"], params["seeds"]) == (config.name, list(config.seeds))


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if "extends:" not in path.read_text()], ids=lambda p: p.name
)
def test_configs_state_what_dvc_looks_for(path: Path) -> None:
    """DVC refuses a config without a section that one of its stages depends on."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    wanted = {name for stage in stages for name in stage["params"][0]["${config}"]}
    assert {"version", "evaluation"} <= wanted <= yaml.safe_load(path.read_text()).keys()


def test_overrides_are_applied_in_order() -> None:
    config = load_config("quickstart.yaml", ["train.epochs=3", "train.epochs=4", "seeds=[5]"])
    assert (config.train.epochs, config.seeds) == (4, (5,))


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        load_config("quickstart.yaml", ["train.epochs=0", "trian.x=1", "layout.kind=random"])
    message = str(error.value)
    assert "has 3 problems" in message
    for part in ("train.epochs: ", "(got 0)", "trian: ", "layout.kind: ", "'sampled'"):
        assert part in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("version.list_length=33", "must be a multiple of train.batch_size"),
        ("arms.copy_paste.role=reference", "exactly one arm must have `role: reference`"),
        ("arms.real=null", "exactly one arm must have `role: reference`"),
        ("arms.synthetic.role=free", "has generated images, so that its role can't be 'free'"),
        ("arms.oracle.role=free", "its role is ceiling, got 'free'"),
        ("arms.synthetic.twin=nothing", "the twin 'nothing', which is no other arm"),
        ("arms.mix={extra: {synthetic: 0.6, copy_paste: 0.5}}", "must sum to at most 1, got 1.1"),
        ("arms.mix={extra: {renders: 0.5}}", "an arm names pool 'renders', there is"),
        ("arms.mix={extra: {synthetic: {share: 0.5, keep: luck}}}", "what 'luck' keeps of pool"),
        ("arms.mix={phases: [{steps: 0.5}]}", "steps must sum to 1, got 0.5"),
        ("arms.mix={phases: [{steps: 0.01}, {steps: 0.99}]}", "a phase of less than one of the 5"),
        ("arms.mix={phases: [{steps: 1.0, replay: 0.1}]}", "no phase before it to replay"),
        ("pools.synthetic=null", "an arm names pool 'synthetic'"),
        ("pools.copy_paste.onto=nothing", "pools.copy_paste.onto is 'nothing'"),
        ("pools.copy_paste.onto=copy_paste", "in a circle: copy_paste -> copy_paste"),
        ("pools.real={kind: paste}", "no pool can be called 'real'"),
        ("contrasts=[[synthetic,nothing]]", "contrasts name arm 'nothing'"),
        ("contrasts=[[oracle,real]]", "'oracle', a ceiling.*never tested"),
        ("contrasts=[[real,real]]", "compare arm 'real' with itself"),
        ("contrasts=[[synthetic,real],[real,synthetic]]", "contrasts must differ"),
        ("version.arms={}", "version.arms follows from the rest"),
        ("version.shifted={}", "version.shifted follows from the rest.*evaluation.shifted"),
        ("filter=null", "takes what 'filtered' keeps of pool 'synthetic', there is no section"),
        ("fit=null", "add a section fit"),
        ("score.pool=copy_paste", "score.pool is 'copy_paste', it must be a pool whose generator"),
        ("report.bootstrap_samples=1", "must be 0 or at least 20"),
        ("prepare.train_images=null", "arm 'oracle' needs real train images beyond"),
        ("score.num_images=1", "score.num_images"),
        ("train.evaluation_split=test", "no config sets.*with --final"),
        ("fit.clip=null", "filter.filters uses the CLIP that fit trains"),
        ("seeds=[1,1]", "seeds must differ"),
        ("shared_through=train", "must be a stage before train"),
        ("prepare.ceiling_images=2", "must be at least train_images"),
        ("train.epochs=[", "can't be read"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("quickstart.yaml", [override])


def test_a_detector_that_sees_images_smaller_than_they_are_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    load_config("bccd-24.yaml", ["prepare.image_size=[320,240]"])

    assert "detector.image_size is 192, the images' longer side is 320" in caplog.text


def test_roles_and_titles_follow_from_the_recipe() -> None:
    arms = load_config(
        "quickstart.yaml",
        [
            "pools.pasted={kind: paste, onto: synthetic}",
            "pools.renders={kind: folder, path: renders, format: yolo}",
            "arms.onto_generated={extra: {pasted: 0.5}}",
            "arms.with_renders={extra: {renders: 0.5}}",
            "arms.even-more={real: [train, reserve], extra: {copy_paste: 0.2}}",
        ],
    ).resolved_arms()

    assert {name: arm.role for name, arm in arms.items()} == {
        "real": "reference", "copy_paste": "free", "synthetic": "candidate",
        "synthetic_filtered": "candidate", "synthetic_random_drop": "candidate",
        "oracle": "ceiling", "onto_generated": "candidate", "with_renders": "candidate",
        "even-more": "ceiling",
    }  # fmt: skip
    assert arms["onto_generated"].title == "Onto generated"
    assert arms["real"].title == "Real only"


def test_a_null_arm_is_left_out() -> None:
    assert "oracle" not in load_config("quickstart.yaml", ["arms.oracle=null"]).arms


def test_an_unknown_file_names_the_bundled_ones() -> None:
    with pytest.raises(ConfigError, match=r"no config file nope.yaml; bundled ones are .*smoke"):
        load_config("nope.yaml")


def test_configs_are_frozen() -> None:
    config: ExperimentConfig = load_config("quickstart.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"  # type: ignore[misc]
