"""How often verdicts are false where the truth is known, over seeds, shares and families."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from synthdata.verdict.family import Rule, holm, judge
from synthdata.verdict.margin import paired_spread

Float64Array = npt.NDArray[np.float64]
Verdicts = npt.NDArray[np.str_]
JudgeFamilies = Callable[[Float64Array, Float64Array, int | None], Verdicts]

NUM_SEEDS = (2, 3, 5, 10)
RATIOS = (0.0, 0.1, 1.0, 11.0)  # v over s²/n
NUM_IMAGES = (None, 87, 300)  # None: v is the truth; else an estimate from so many images
NUM_CONTRASTS = 8
# (contrasts in the family, how many of them have no effect)
FAMILIES = ((1, 1), (4, 4), (4, 2), (8, 8), (8, 4))
# A false helps and a false hurts share the level of .05.
ALLOWED = 0.025
HUGE_GAIN = 1e4


@dataclass(frozen=True)
class Scenario:
    """One cell of the grid; the seeds' paired standard deviation is 1."""

    num_seeds: int
    ratio: float
    num_images: int | None = None

    def draw(self, rng: np.random.Generator, num_runs: int) -> tuple[Float64Array, Float64Array]:
        """Return `(seeds, runs, contrasts)` differences without effect, and their v.

        Every contrast is with the same reference, whose luck with seeds and with images they
        share. What the images do is the same in all repetitions.
        """
        shape = (num_runs, NUM_CONTRASTS + 1)
        truth = self.ratio / self.num_seeds
        seeds = rng.normal(scale=np.sqrt(1 / 2), size=(self.num_seeds, *shape))
        images = rng.normal(scale=np.sqrt(truth / 2), size=shape)
        scores = seeds + images
        variance = np.full((num_runs, NUM_CONTRASTS), truth)
        if self.num_images is not None:
            freedom = self.num_images - 1
            variance = variance * rng.chisquare(freedom, variance.shape) / freedom
        return scores[..., 1:] - scores[..., :1], variance


def margin_rule(
    differences: Float64Array, variance: Float64Array, num_images: int | None
) -> Verdicts:
    """Judge as `compare_arms` does; no gain is too small, so that all that helps is counted."""
    spread = paired_spread(differences, image_variance=variance, num_images=num_images)
    return judge(differences.mean(axis=0), spread, Rule(minimum_gain=0)).verdict


def welch_satterthwaite_rule(
    differences: Float64Array, variance: Float64Array, num_images: int | None
) -> Verdicts:
    """Judge as earlier versions did: the images' variance taken as known."""
    del num_images
    num_seeds = len(differences)
    mean, of_seeds = differences.mean(axis=0), differences.var(axis=0, ddof=1) / num_seeds
    total = of_seeds + variance
    freedom = (num_seeds - 1) * (total / of_seeds) ** 2
    significant = holm(2 * stats.t.sf(np.abs(mean) / np.sqrt(total), freedom)) < 0.05
    return np.select([significant & (mean > 0), significant], ["helps", "hurts"], "inconclusive")


def false_verdicts(
    rule: JudgeFamilies, scenario: Scenario, *, num_runs: int
) -> Iterator[tuple[str, float]]:
    """Yield a cell's name and how often a family has a false verdict, by family and direction."""
    rng = np.random.default_rng([scenario.num_seeds, round(scenario.ratio * 10)])
    differences, variance = scenario.draw(rng, num_runs)
    for size, num_null in FAMILIES:
        gains = np.where(np.arange(size) < num_null, 0, HUGE_GAIN)
        verdicts = rule(differences[..., :size] + gains, variance[..., :size], scenario.num_images)
        for verdict in ("helps", "hurts"):
            false = (verdicts[:, :num_null] == verdict).any(axis=1)
            yield f"{scenario}, {num_null} of {size} null, {verdict}", float(false.mean())


def violations(
    rule: JudgeFamilies, num_seeds: int, *, num_runs: int
) -> tuple[int, dict[str, float]]:
    """Return the number of cells, and those with more false verdicts than allowed.

    Allowed are `ALLOWED` and three standard errors of the simulation.
    """
    allowed = ALLOWED + 3 * np.sqrt(ALLOWED * (1 - ALLOWED) / num_runs)
    cells = {
        name: rate
        for ratio in RATIOS
        for num_images in (NUM_IMAGES if ratio else NUM_IMAGES[:1])
        for name, rate in false_verdicts(
            rule, Scenario(num_seeds, ratio, num_images), num_runs=num_runs
        )
    }
    return len(cells), {name: rate for name, rate in cells.items() if rate > allowed}


@pytest.mark.parametrize("num_seeds", NUM_SEEDS)
def test_false_verdicts_are_as_rare_as_the_level_says(num_seeds: int) -> None:
    num_cells, too_often = violations(margin_rule, num_seeds, num_runs=2000)
    assert num_cells == 100
    assert not too_often


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_the_simulation_finds_the_rule_that_took_the_images_variance_as_known(
    num_seeds: int,
) -> None:
    _, too_often = violations(welch_satterthwaite_rule, num_seeds, num_runs=2000)
    worst = f"{Scenario(num_seeds, 0.1)}, 8 of 8 null, helps"
    assert worst in too_often
    # without a share of the images it is the t-test, which holds
    assert not any("ratio=0.0" in cell for cell in too_often)


@pytest.mark.parametrize("num_images", NUM_IMAGES)
@pytest.mark.parametrize("ratio", RATIOS[:3])
@pytest.mark.parametrize("size", [1, 4, 8])
def test_a_large_gain_is_found(size: int, ratio: float, num_images: int | None) -> None:
    spread, gain, num_runs = 0.012, 0.05, 2000
    differences, variance = Scenario(5, ratio, num_images).draw(np.random.default_rng(3), num_runs)
    gains = np.where(np.arange(size) == 0, gain, 0)  # the only one in its family: the hardest case
    found = margin_rule(
        spread * differences[..., :size] + gains, spread**2 * variance[..., :size], num_images
    )
    assert np.mean(found[:, 0] == "helps") >= 0.9


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    for num_seeds in NUM_SEEDS:
        for ratio in RATIOS:
            scenario = Scenario(num_seeds, ratio, 87)
            differences, variance = scenario.draw(np.random.default_rng(8), 2000)
            spread = paired_spread(differences, image_variance=variance, num_images=87)
            judged = judge(differences.mean(axis=0), spread, Rule())
            covered = np.mean((judged.low <= 0) & (judged.high >= 0), axis=0)
            error = np.sqrt(0.05 * 0.95 / 2000)
            assert (covered >= 0.95 - 3 * error).all(), scenario


def test_extensions_make_up_for_most_of_what_stopping_early_gains() -> None:
    num_runs, looks = 20_000, (5, 10)
    differences = np.random.default_rng(0).normal(size=(looks[-1], num_runs, 1))

    def ever_helps(extensions: Sequence[int]) -> float:
        verdicts = [
            judge(
                differences[:num_seeds].mean(axis=0),
                paired_spread(differences[:num_seeds]),
                Rule(minimum_gain=0, extensions=extension),
            ).verdict[:, 0]
            for num_seeds, extension in zip(looks, extensions, strict=True)
        ]
        return float(np.mean((np.stack(verdicts) == "helps").any(axis=0)))

    # as `compare_arms` says
    assert ever_helps((0, 1)) == pytest.approx(0.033, abs=0.003)
    assert ever_helps((0, 0)) == pytest.approx(0.044, abs=0.003)
