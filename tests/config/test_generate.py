import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.test_configs import unset
from synthdata.config import load_config
from synthdata.config.generate import GenerateConfig
from synthdata.errors import ConfigError

HOW_TO = Path(__file__).parents[2] / "docs/how-to/img2img-and-inpainting.md"


def test_the_how_tos_generators_are_whole() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), flags=re.DOTALL)
    values: dict[str, Any] = yaml.safe_load(block)["generate"]

    section = GenerateConfig.model_validate(values | {"shard_size": 8})

    assert {name: one.kind for name, one in section.generators.items()} == {
        "synthetic": "inpaint",
        "from_noise": "controlnet",
    }
    assert unset(section, "") == []


@pytest.mark.parametrize("kind", ["img2img", "inpaint"])
def test_the_arms_take_any_kind_but_the_score_needs_one_that_follows_layouts(kind: str) -> None:
    other = [f"generate.generators.synthetic.kind={kind}"]

    with pytest.raises(ConfigError, match=r"score.pool is 'synthetic'.*follows layouts.*\[\]"):
        load_config("smoke.yaml", other)
    config = load_config(
        "smoke.yaml",
        [*other, "generate.generators.from_noise.kind=controlnet", "score.pool=from_noise"],
    )

    assert config.generate.generators["synthetic"].kind == kind
    assert "synthetic" in config.version.arms
