import pytest

from synthdata.config.arms import ArmConfig
from synthdata.delivery.recipe import recipe_in_words


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({}, ["100 % real images of train, each as often as any other."]),
        (
            {"real": ["train", "reserve"], "extra": {"paste": 0.25}},
            [
                "75 % real images of train and reserve, each as often as any other; "
                "25 % images of pool paste, each as often as any other."
            ],
        ),
        (
            {
                "phases": [
                    {"steps": 0.6, "extra": {"made": {"share": 1, "keep": "filtered"}}},
                    {"steps": 0.4, "learning_rate": 0.1, "replay": 0.2},
                ]
            },
            [
                "Phase 1, 60 % of the steps, learning rate times 1: 100 % images of pool made, "
                "what all filters keep, each as often as any other.",
                "Phase 2, 40 % of the steps, learning rate times 0.1, 20 % of it drawn from the "
                "phase before: 100 % real images of train, each as often as any other.",
            ],
        ),
    ],
)
def test_a_recipe_is_told_list_by_list(recipe: dict[str, object], words: list[str]) -> None:
    told = recipe_in_words(ArmConfig.model_validate(recipe))
    assert [one.replace("\N{NO-BREAK SPACE}", " ") for one in told] == words
