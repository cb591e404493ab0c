"""How often would the whole procedure have found a gain? Search on val, then a claim on test.

    python benchmarks/procedure.py RUN --recipes 8 --selection-seeds 2 --gains 0.01 0.02 0.03

RUN is a finished run of a search's `best.yaml`: its first contrast, a synthetic arm against the
best free one, gives the variances. Each simulated procedure has as many free recipes as synthetic
ones, and all of them gain as much over the reference, but for one synthetic recipe that gains more.
Of each family the cheapest within a standard error of the best on val goes on; which one is the
better is as likely the cheapest as the dearest. Fresh seeds judge the two, and the synthetic one
against the reference, as one family of contrasts.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthdata.report.finished import find_run, read_report
from synthdata.verdict.family import Rule, judge
from synthdata.verdict.margin import paired_spread

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What a procedure is like.

    Attributes:
        seed_sd: Standard deviation of an arm's score over seeds, beyond what arms share.
        image_sd: That of an arm's score over sets of evaluation images, beyond what arms share.
        num_images: Images, or groups, of the evaluation set.
        num_seeds: Of the claim.
        selection_seeds: Of the search's last rung.
        num_recipes: Of each family.
        free_gain: Of all recipes but one, over the reference.
    """

    seed_sd: float
    image_sd: float
    num_images: int | None
    num_seeds: int
    selection_seeds: int
    num_recipes: int
    free_gain: float


def simulate(
    setting: Setting, gain: float, *, runs: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return how often the claim was right, and what was lost by the choice.

    Args:
        setting: The procedure.
        gain: Of one synthetic recipe over the free ones.
        runs: Procedures.
        rng: Draws them.
    """
    shape = runs, setting.num_recipes
    better = rng.integers(setting.num_recipes, size=runs)
    synthetic = np.where(np.arange(setting.num_recipes) == better[:, None], gain, 0.0)
    chosen = [_choose(truth, setting, rng) for truth in (synthetic, np.zeros(shape))]
    found = np.take_along_axis(synthetic, chosen[0][:, None], axis=1)[:, 0]
    truths = np.stack([found, found + setting.free_gain], axis=1)
    # Arms synthetic, free and reference: the two contrasts share the first.
    seeds = rng.normal(0, setting.seed_sd, (setting.num_seeds, runs, 3))
    images = rng.normal(0, setting.image_sd, (runs, 3))
    noise = seeds + images
    differences = truths + noise[..., :1] - noise[..., 1:]
    spread = paired_spread(
        differences, image_variance=2 * setting.image_sd**2, num_images=setting.num_images
    )
    verdict = judge(differences.mean(axis=0), spread, Rule()).verdict
    return {
        "gain": gain,
        "chosen": float((found == gain).mean()) if gain else float("nan"),
        "helps_over_free": float((verdict[:, 0] == "helps").mean()),
        "helps_over_reference": float((verdict[:, 1] == "helps").mean()),
        "regret": float((gain - found).mean()),
    }


def _choose(
    truth: Float64Array, setting: Setting, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Return the cheapest recipe near the best, `(runs,)`: the first is the cheapest."""
    runs, number = truth.shape
    image = rng.normal(0, setting.image_sd, (1, runs, number))
    seeds = rng.normal(0, setting.seed_sd, (setting.selection_seeds, runs, number))
    scores = truth + image + seeds
    best = scores.mean(axis=0).argmax(axis=1)
    behind = np.take_along_axis(scores, best[None, :, None], axis=2) - scores
    error = behind.std(axis=0, ddof=1) / math.sqrt(setting.selection_seeds)
    return np.argmax(behind.mean(axis=0) <= error, axis=1)


def main() -> None:
    """Simulate the procedure with a run's variances and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run")
    parser.add_argument("--recipes", type=int, default=8, help="of each family")
    parser.add_argument("--selection-seeds", type=int, default=2, help="of the last rung, 2 up")
    parser.add_argument("--gains", type=float, nargs="+", default=[0.0, 0.01, 0.02, 0.03])
    parser.add_argument("--runs", type=int, default=4000)
    arguments = parser.parse_args()
    report = read_report(find_run(arguments.run, Path.cwd()))
    row = report["contrasts"][0]
    by_seed = np.array(list(row["difference_by_seed"].values()))
    setting = Setting(
        seed_sd=float(by_seed.std(ddof=1)) / math.sqrt(2),
        image_sd=math.sqrt((row["image_variance"] or 0.0) / 2),
        num_images=row["num_images"],
        num_seeds=len(by_seed),
        selection_seeds=arguments.selection_seeds,
        num_recipes=arguments.recipes,
        free_gain=report["arms"][row["against"]]["difference"] or 0.0,
    )
    print(setting)
    rng = np.random.default_rng(0)
    rows = [simulate(setting, gain, runs=arguments.runs, rng=rng) for gain in arguments.gains]
    print(pd.DataFrame(rows).round(4).to_markdown(index=False))


if __name__ == "__main__":
    main()
