from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from synthdata.config import ExperimentConfig, load_config
from synthdata.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"smoke.yaml", "quickstart.yaml", "bccd-24.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_under_its_own_name(path: Path) -> None:
    assert load_config(path).name == path.stem


def unset(model: BaseModel, where: str) -> list[str]:
    """The fields that a YAML leaves to their defaults, but for those that the plan sets."""
    missing = [
        f"{where}{name}"
        for name in type(model).model_fields
        if name not in model.model_fields_set and name not in ("seed", "shifted")
    ]
    for name in model.model_fields_set:
        value = getattr(model, name)
        values = value.values() if isinstance(value, dict) else value
        for item in values if isinstance(values, tuple | list | type({}.values())) else [value]:
            if isinstance(item, BaseModel):
                missing += unset(item, f"{where}{name}.")
    return missing


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_states_every_value(path: Path) -> None:
    """A hidden default would change results without a trace in the YAML or in DVC."""
    assert unset(load_config(path), "") == []


def test_params_yaml_names_the_config_that_it_repeats() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    config = load_config(ROOT / params["config"])
    assert (params["name"], params["seeds"]) == (config.name, list(config.seeds))


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
        ("version.arms=[synthetic]", "report.reference is 'real', which is not among"),
        ("filter.pool=other", "filter.pool is 'other', there is"),
        ("report.headline=real", "must be a synthetic arm other than report.reference"),
        ("report.reference=synthetic_filtered", "must be a synthetic arm other than"),
        ("report.reference=oracle", "can't be 'oracle'"),
        ("report.bootstrap_samples=1", "must be 0 or at least 20"),
        ("prepare.train_images=null", "arm 'oracle' needs real train images beyond"),
        ("version.extra_fraction=1", "version.extra_fraction"),
        ("score.num_images=1", "score.num_images"),
        ("train.evaluation_split=test", "no config sets.*with --final"),
        ("fit.clip=null", "filter.filters uses the CLIP that fit trains"),
        ("seeds=[1,1]", "seeds must differ"),
        ("shared_through=train", "must be a stage before train"),
        ("prepare.oracle_images=2", "must be at least train_images"),
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


def test_an_unknown_file_names_the_bundled_ones() -> None:
    with pytest.raises(ConfigError, match=r"no config file nope.yaml; bundled ones are .*smoke"):
        load_config("nope.yaml")


def test_configs_are_frozen() -> None:
    config: ExperimentConfig = load_config("quickstart.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"  # type: ignore[misc]
