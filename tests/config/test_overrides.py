from pathlib import Path

import pytest

from synthdata.config import load_config
from synthdata.config.merge import drop_removed, set_value
from synthdata.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("=5", "expected a dotted key"),
        ("a..b=1", "expected a dotted key"),
        (".train=1", "expected a dotted key"),
        ("train", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("extends=smoke.yaml", "expected KEY=VALUE"),
        ("train=1", "train: "),
        ("train.epochs=", r"train\.epochs: .*\(got None\)"),
        ("train.epochs=[", "can't be read: its value:1: "),
        ("train.epochs=1: 2: 3", "can't be read: its value:1: "),
        ("train.epochs=!!python/name:os.system", "the tag"),
        ("train.epochs.x=1", r"train\.epochs is the value '\d+', and has no x"),
        ("seeds[0]=5", r"seeds\[0\] indexes a list; lists are set as a whole"),
        ("seeds.0=5", r"seeds is a list; set it as a whole, such as seeds=\[\.\.\.\]"),
        ("__class__=1", "__class__: "),
        ("a." * 3_000 + "a=1", "at most 20 parts, got 3001"),
        ("name=../x", "name: "),
        ("seeds=[-1]", "seeds"),
        ("seeds=[" + "1" * 5_000 + "]", "at most 64 bits"),
        ("filter.filters=[]", "filter.filters"),
    ],
)
def test_overrides_that_fit_nowhere(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        load_config("smoke.yaml", [override])
    assert len(str(error.value)) < 1_000


def test_a_value_takes_the_place_of_what_stood_there() -> None:
    values = {"a": {"b": {"c": 1, "d": 2}}, "l": [1, 2]}
    assert set_value(values, "a.b.c", 3) == {"a": {"b": {"c": 3, "d": 2}}, "l": [1, 2]}
    assert set_value(values, "a.b", {"e": 4})["a"] == {"b": {"e": 4}}
    assert set_value(values, "l", [7])["l"] == [7]
    assert set_value({"a": None}, "a.b", 1) == {"a": {"b": 1}}
    assert set_value({}, "a.b.c", 1) == {"a": {"b": {"c": 1}}}
    assert values == {"a": {"b": {"c": 1, "d": 2}}, "l": [1, 2]}, "nothing is edited in place"


def test_what_an_alias_repeats_is_set_apart() -> None:
    shared = {"rate": 1}
    assert set_value({"a": shared, "b": shared}, "a.rate", 2) == {"a": {"rate": 2}, "b": shared}
    assert shared == {"rate": 1}


def test_a_null_section_becomes_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: smoke.yaml\nfit: {clip: null}\n")
    with pytest.raises(ConfigError, match=r"fit\.clip\.steps: .*\(got 0\)"):
        load_config(tmp_path / "mine.yaml", ["fit.clip.steps=0"])


def test_null_takes_pools_and_arms_away_and_nothing_else() -> None:
    values = {"arms": {"real": {}, "oracle": None}, "pools": {"x": None}, "fit": {"clip": None}}
    assert drop_removed(values) == {"arms": {"real": {}}, "pools": {}, "fit": {"clip": None}}
    assert drop_removed({"arms": ["real"], "pools": None}) == {"arms": ["real"], "pools": None}
