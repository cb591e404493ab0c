"""No module knows an arm by its name: names are the configs', and free."""

import pytest
import yaml

from commands import ROOT, Command

# Words of the domain, which the code's comments use without meaning an arm; `real` is an origin,
# a pool and a part of results too.
WORDS = {"synthetic", "diffusion"}
CODE = ("src", "flows", "benchmarks/*.py")
ELSEWHERE = {
    # ultralytics has an augmentation of this name, which is switched off.
    "copy_paste": ["src/synthdata/detectors/ultralytics.py"],
    # A search's recipes are of this family, or free.
    "synthetic": ["src/synthdata/config/search.py"],
}


def arm_names() -> set[str]:
    paths = [*ROOT.glob("configs/**/*.yaml"), *ROOT.glob("benchmarks/*.yaml")]
    configs = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
    return {str(name) for config in configs for name in config.get("arms", {})}


def test_the_configs_arms_are_found() -> None:
    assert arm_names() >= {"real", "real_balanced", "synthetic_filtered", "copy_paste", "oracle"}


@pytest.mark.parametrize("name", sorted(arm_names() - WORDS - {"real"}))
def test_no_code_knows_an_arm(name: str, command: Command) -> None:
    assert files_with(command, name, "-w", "-F", name) == ELSEWHERE.get(name, [])


@pytest.mark.parametrize("name", sorted(WORDS))
def test_no_code_has_a_word_that_an_arm_is_called_as_a_value(name: str, command: Command) -> None:
    files = files_with(command, name, "-E", f"[\"']{name}[\"']")
    assert files == ELSEWHERE.get(name, [])


def files_with(command: Command, name: str, *pattern: str) -> list[str]:
    """Return the tracked files of code in which a pattern of an arm's name occurs."""
    status = 0 if name in ELSEWHERE else 1  # git grep's, where it finds nothing
    done = command("git", "grep", "-l", *pattern, "--", *CODE, cwd=ROOT, status=status)
    return done.stdout.splitlines()
