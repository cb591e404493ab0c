from pathlib import Path

import pytest

from synthdata.config import find_config, load_config
from synthdata.config.merge import merge_configs
from synthdata.errors import ConfigError


def test_a_short_file_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "extends: smoke.yaml\nname: mine\nseeds: [7]\ntrain: {detector: {learning_rate: 0.5}}\n"
    )
    mine, smoke = load_config(tmp_path / "mine.yaml"), load_config("smoke.yaml")

    assert (mine.name, mine.seeds, mine.train.detector.learning_rate) == ("mine", (7,), 0.5)
    detector = mine.train.detector.model_copy(
        update={"learning_rate": smoke.train.detector.learning_rate}
    )
    assert detector == smoke.train.detector
    assert (mine.fit, mine.score, mine.filter) == (smoke.fit, smoke.score, smoke.filter)
    overridden = load_config(tmp_path / "mine.yaml", ["train.detector.learning_rate=0.25"])
    assert overridden.train.detector.learning_rate == 0.25


def test_a_chain_is_read_from_the_bottom_and_beside_each_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "mine.yaml").write_text("extends: inner/middle.yaml\nseeds: [3]\n")
    (tmp_path / "inner" / "middle.yaml").write_text("extends: base.yaml\nname: middle\n")
    (tmp_path / "inner" / "base.yaml").write_text("extends: smoke.yaml\nname: b\nseeds: [1, 2]\n")
    config = load_config(tmp_path / "mine.yaml")
    assert (config.name, config.seeds) == ("middle", (3,))


def test_a_file_beside_comes_before_a_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quickstart.yaml").write_text("extends: smoke.yaml\nname: beside\n")
    (tmp_path / "mine.yaml").write_text("extends: quickstart.yaml\n")
    assert load_config(tmp_path / "mine.yaml").name == "beside"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.yaml").write_text("extends: configs/smoke.yaml\n")
    assert load_config("other/mine.yaml").name == "smoke"


def test_the_bundled_preset_is_found_from_anywhere(tmp_path: Path) -> None:
    text = find_config("own-data.yaml").read_text(encoding="utf-8")
    assert "extends: presets/arms.yaml" in text
    (tmp_path / "copied.yaml").write_text(text, encoding="utf-8")

    assert load_config(tmp_path / "copied.yaml") == load_config("own-data.yaml")
    assert find_config("presets/arms.yaml").samefile(find_config("configs/presets/arms.yaml"))


def test_circles_and_long_chains_name_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: ./a.yaml\n")
    with pytest.raises(ConfigError, match=r"in a circle: \S*a.yaml -> \S*b.yaml -> \S*a.yaml"):
        load_config(tmp_path / "a.yaml")
    for number in range(20):
        (tmp_path / f"n{number}.yaml").write_text(f"extends: n{number + 1}.yaml\n")
    with pytest.raises(ConfigError, match=r"at most 8 configs that extend each other.*n8\.yaml"):
        load_config(tmp_path / "n0.yaml")


@pytest.mark.parametrize(
    ("extends", "problem"),
    [
        ("nowhere.yaml", r"mine\.yaml extends nowhere\.yaml: there is no config file"),
        ("[a.yaml, b.yaml]", "extends must be the name of one config file"),
        ("a" * 300, "there is no config file"),
        (".", "there is no config file"),
    ],
)
def test_a_base_that_is_none(tmp_path: Path, extends: str, problem: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: {extends}\n")
    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path / "mine.yaml")


def test_a_fault_in_the_base_names_the_base(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\n")
    (tmp_path / "base.yaml").write_text("name: a\nname: b\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:2: the key 'name' stands twice"):
        load_config(tmp_path / "mine.yaml")


def test_sections_merge_and_lists_replace() -> None:
    base = {"fit": {"a": 1, "b": {"c": [1, 2], "d": 3}}, "seeds": [0, 1]}
    over = {"fit": {"b": {"c": [9]}}, "seeds": [5], "train": {"x": 1}}
    assert merge_configs(base, over) == {
        "fit": {"a": 1, "b": {"c": [9], "d": 3}}, "seeds": [5], "train": {"x": 1},
    }  # fmt: skip
    assert base["seeds"] == [0, 1]


def test_null_replaces_a_section_and_a_section_null() -> None:
    assert merge_configs({"a": {"b": 1}}, {"a": None}) == {"a": None}
    assert merge_configs({"a": None}, {"a": {"b": 1}}) == {"a": {"b": 1}}


@pytest.mark.parametrize("name", ["pools", "arms", "contrasts"])
def test_pools_arms_and_contrasts_replace_the_bases(name: str) -> None:
    base = {name: {"x": {"kind": "generator", "share": 1}, "y": {}}, "fit": {name: {"z": 1}}}
    over = {name: {"x": {"kind": "generator"}}, "fit": {name: {"w": 2}}}
    assert merge_configs(base, over) == {
        name: {"x": {"kind": "generator"}},
        "fit": {name: {"z": 1, "w": 2}},  # of that name, but not at the top
    }


def test_another_kind_replaces_the_mapping() -> None:
    base = {"source": {"kind": "digits", "num_train": 5, "more": {"kind": "a", "x": 1}}}
    other = {"source": {"kind": "folder", "path": "p"}}
    assert merge_configs(base, other) == other
    same = merge_configs(base, {"source": {"kind": "digits", "num_train": 6}})
    assert same["source"] == base["source"] | {"num_train": 6}
    unsaid = merge_configs(base, {"source": {"num_train": 7, "more": {"kind": "b"}}})
    assert unsaid == {"source": {"kind": "digits", "num_train": 7, "more": {"kind": "b"}}}


def test_another_kind_of_source_takes_no_setting_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "extends: smoke.yaml\nprepare: {source: {kind: folder, path: photos, format: yolo}}\n"
    )
    source = load_config(tmp_path / "mine.yaml").prepare.source
    assert source.kind == "folder"
    assert source.path == Path("photos")
