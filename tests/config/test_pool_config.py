import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from synthdata.config import load_config
from synthdata.config.generate import GenerateConfig
from synthdata.config.pools import GeneratorPool
from synthdata.errors import ConfigError

HOW_TO = Path(__file__).parents[2] / "docs/how-to/img2img-and-inpainting.md"


def test_the_how_tos_pools_are_read() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), flags=re.DOTALL)
    values: dict[str, Any] = yaml.safe_load(block)["pools"]

    section = GenerateConfig.model_validate({"pools": values})

    kinds = {
        name: pool.generator.kind
        for name, pool in section.pools.items()
        if isinstance(pool, GeneratorPool)
    }
    assert kinds == {"synthetic": "inpaint", "from_noise": "controlnet"}


@pytest.mark.parametrize("kind", ["img2img", "inpaint"])
def test_arms_take_any_generator_and_the_score_one_that_follows_layouts(kind: str) -> None:
    other = [f"pools.synthetic.generator={{kind: {kind}}}"]

    assert load_config("smoke.yaml", other).scored_pool is None
    with pytest.raises(ConfigError, match=r"score.pool is 'synthetic'.*follows layouts.*\[\]"):
        load_config("smoke.yaml", [*other, "score.pool=synthetic"])
    more = "pools.from_noise={kind: generator, generator: {kind: controlnet}}"
    used = "arms.noise={extra: {from_noise: 0.5}}"
    config = load_config("smoke.yaml", [*other, more, used])
    assert config.scored_pool == "from_noise"
    assert config.used_pools == ["synthetic", "copy_paste", "from_noise"]


def test_a_pool_that_no_arm_uses_is_not_made() -> None:
    config = load_config("smoke.yaml", ["pools.more={kind: paste}"])
    assert config.used_pools == ["synthetic", "copy_paste"]
    nested = load_config("smoke.yaml", ["pools.more={kind: paste, onto: synthetic}",
                                        "arms={real: {role: reference}, m: {extra: {more: 0.5}}}",
                                        "contrasts=[[m,real]]"])  # fmt: skip
    assert nested.used_pools == ["synthetic", "more"], "each after what it builds on"
