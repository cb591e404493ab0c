import pytest
from pydantic import ValidationError

from synthdata.config.evaluation import EvaluationConfig
from synthdata.config.prepare import PrepareConfig

DIGITS = {"kind": "digits"}


def test_a_section_without_shifted_sets_is_the_default() -> None:
    assert EvaluationConfig().shifted == {}


def test_a_set_needs_no_more_than_a_source() -> None:
    (one,) = EvaluationConfig.model_validate(
        {"shifted": {"other-lab2": {"source": DIGITS}}}
    ).shifted.values()
    assert (one.scale, one.split, one.max_images, one.repair) == (1.0, None, None, False)
    assert (one.ignore_classes, one.group_by) == ((), None)


@pytest.mark.parametrize("name", ["train", "reserve", "val", "test"])
def test_a_set_is_not_called_as_a_split(name: str) -> None:
    with pytest.raises(ValidationError, match=f"must differ from the splits .* got '{name}'"):
        EvaluationConfig.model_validate({"shifted": {name: {"source": DIGITS}}})


@pytest.mark.parametrize("name", ["", "Lab", "-a", "a/b", "..", "a b", "a\n"])
def test_names_are_fit_for_folders(name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        EvaluationConfig.model_validate({"shifted": {name: {"source": DIGITS}}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": 0}, "greater than 0"),
        ({"scale": "inf"}, "finite"),
        ({"max_images": 0}, "greater than 0"),
        ({"split": "train"}, "split must be val or test for digits"),
        ({"split": "reserve"}, "'train', 'val' or 'test'"),
        ({"scael": 1}, "Extra inputs are not permitted"),
        ({"group_by": "a"}, "must have one group"),
    ],
)
def test_settings_that_can_not_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationConfig.model_validate({"shifted": {"lab": {"source": DIGITS, **values}}})


def test_what_has_no_train_split_is_no_data_of_a_run() -> None:
    source = {"kind": "txl-pbc", "laboratory": "pbc"}
    assert EvaluationConfig.model_validate({"shifted": {"pbc": {"source": source}}})
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        PrepareConfig.model_validate({"source": source})
