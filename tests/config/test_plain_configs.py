"""Configs are plain YAML: nothing in them acts, and whatever is wrong is said by name."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from commands import ROOT
from synthdata.config import ExperimentConfig, load_config
from synthdata.errors import ConfigError

SMOKE = (ROOT / "configs" / "smoke.yaml").read_text()
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)
)
Load = Callable[[str | bytes], ExperimentConfig]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a config of that text; what it puts into the current folder would be seen."""

    def load(text: str | bytes) -> ExperimentConfig:
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path)

    return load


def test_nothing_is_interpolated(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    monkeypatch.setenv("HOME", "/home/of-the-user")
    literal = 'prompt_template: "${oc.env:SECRET} ${HOME} $HOME ${name} ???"'
    (line,) = [line for line in SMOKE.splitlines() if "prompt_template" in line]
    config = load(SMOKE.replace(line.strip(), literal))

    assert config.fit.prompt_template == "${oc.env:SECRET} ${HOME} $HOME ${name} ???"
    dumped = config.model_dump_json()
    assert "s3cret" not in dumped
    assert "of-the-user" not in dumped
    overridden = load_config("smoke.yaml", ["fit.prompt_template=${oc.env:SECRET}"])
    assert overridden.fit.prompt_template == "${oc.env:SECRET}"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param(BOMB, 4, "expected aliases of at most 10000 values", id="alias bomb"),
        pytest.param("a: &a [*a]", 1, "doesn't hold its own alias", id="alias of itself"),
        pytest.param("a: 1\nb: *c", 2, "undefined alias", id="alias of nothing"),
        pytest.param("name: x\nname: y", 2, "the key 'name' stands twice", id="repeated key"),
        pytest.param("fit:\n  device: cpu\n  device: auto", 3, "stands twice", id="inner key"),
        pytest.param("a: !!python/object/apply:os.system [touch ran]", 1, "the tag", id="tag"),
        pytest.param("a: !!str 5", 1, "the tag", id="harmless tag"),
        pytest.param("a: &a {b: 1}\n<<: *a", 2, "no merge key", id="merge key"),
        pytest.param("? [a]\n: 1", 1, "expected a scalar as a key", id="list as a key"),
        pytest.param("a: " + "[" * 20_000, 1, "at most 40 levels", id="deep list"),
        pytest.param("a: " + "{b: " * 3_000, 1, "at most 40 levels", id="deep mapping"),
        pytest.param("a: " + "9" * 5_000, 1, "at most 64 bits", id="huge number"),
        pytest.param("a: " + "1:" * 5_000 + "1", 1, "at most 64 bits", id="sexagesimal"),
        pytest.param("a: 'x", 1, "unexpected end of stream", id="open quote"),
        pytest.param('a: "\\ud800"', 1, "half of a surrogate pair", id="surrogate"),
        pytest.param('a: "\\q"', 1, "unknown escape", id="escape"),
        pytest.param("---\na: 1\n---\nb: 1", 3, "a single document", id="two documents"),
    ],
)
def test_what_is_not_plain_is_refused_by_line(
    load: Load, tmp_path: Path, text: str, line: int, problem: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError) as error:
        load(text)

    assert f"{tmp_path / 'mine.yaml'}:{line}: " in str(error.value)
    assert problem in str(error.value)
    assert len(str(error.value)) < 600
    assert time.perf_counter() - start < 5
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "problems:", id="empty"),
        pytest.param(b"prepare: null", "problems:", id="null section"),
        pytest.param(b"- a\n- b", "must be a mapping of sections", id="list"),
        pytest.param(b"just text", "must be a mapping of sections", id="scalar"),
        pytest.param(b"1: a", "must be a mapping of sections", id="number as a section"),
        pytest.param("name: größe".encode("latin-1"), "expected UTF-8 text", id="latin-1"),
        pytest.param("name: x".encode("utf-16"), "expected UTF-8 text", id="utf-16"),
        pytest.param(b"name: \0", "unacceptable character #x0000", id="NUL"),
        pytest.param(b"name: {a: {b: " + b"{c: " * 30 + b"1" + b"}" * 32, "name: ", id="nested"),
    ],
)
def test_what_is_no_config_is_refused(load: Load, content: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(content)


def test_the_byte_order_mark_of_windows_is_read(load: Load) -> None:
    assert load(b"\xef\xbb\xbf" + SMOKE.encode()).name == "smoke"


def test_aliases_repeat_values_that_overrides_set_apart(load: Load) -> None:
    assert SMOKE.count("*detector") > 1
    config = load(SMOKE)
    assert config.train.detector == config.score.judge.detector
    other = load_config("smoke.yaml", ["train.detector.learning_rate=0.5"])
    assert other.train.detector.learning_rate == 0.5
    assert other.score == config.score


@pytest.mark.parametrize("name", ["smoke", "quickstart", "bccd-24"])
def test_values_are_what_pyyaml_reads_in_shipped_configs(name: str) -> None:
    path = ROOT / "configs" / f"{name}.yaml"
    known = ExperimentConfig.model_validate(yaml.safe_load(path.read_text()))
    assert load_config(path) == known


def test_exponents_need_no_point() -> None:
    assert load_config("smoke.yaml", ["train.detector.learning_rate=5e-3"]) == load_config(
        "smoke.yaml", ["train.detector.learning_rate=0.005"]
    )


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1e999"])
def test_numbers_are_finite(value: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.detector\.learning_rate: .*finite"):
        load_config("smoke.yaml", [f"train.detector.learning_rate={value}"])


def test_a_path_that_can_not_be_followed_is_no_config() -> None:
    for name in ("a" * 300 + ".yaml", "a\0b", ".", "/dev/null"):
        with pytest.raises(ConfigError, match="there is no config file"):
            load_config(name)
