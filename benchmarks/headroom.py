"""Where is room above the free arms? Scores on val and under shift, by budget and policy.

    python benchmarks/headroom.py --draws 100 101 102 --steps 3200 --policy default \
        --csv docs/benchmarks/headroom.csv

`--config benchmarks/ladder.yaml` measures the rungs from pasting to composites instead. Each draw
is a repetition of its own: other train images, another generator, another detector seed
(development draws are 100 and up). Shifted sets are scored too, and each look is logged in
`runs/looks.jsonl`. Rows are appended as soon as a draw is trained; what the file has is skipped, so
that a killed call goes on. `settings` is the digest of all that a row depends on. In the end the
file is printed as a table, means over the draws that it has.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from synthdata.config import ExperimentConfig, load_config
from synthdata.files import sha256_json
from synthdata.looks import open_held_out
from synthdata.plan import plan
from synthdata.stages import run_step

_CONFIG = Path(__file__).with_suffix(".yaml")
logger = logging.getLogger("benchmarks.headroom")


def measure(config: ExperimentConfig, *, label: str) -> Mapping[str, Any]:
    """Return the metrics of stage train, which has a folder for each budget and policy."""
    for step in plan(config, Path.cwd()):
        if step.stage == "train":
            folder = step.out_dir.with_name(f"train-{label}")
            return run_step(replace(step, out_dir=folder)).metrics
        run_step(step)
    raise SystemExit("the config trains nothing")


def rows(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each evaluation set and arm."""
    scored = {metrics["evaluation_split"]: metrics["arms"], **metrics["shifted"]}
    for name, arms in scored.items():
        for arm, values in arms.items():
            yield {
                "arm": arm,
                "set": name,
                "map50_95": values["map50_95"],
                "map50": values["map50"],
                **{f"ap_{class_name}": ap for class_name, ap in values["per_class"].items()},
                "train_s": metrics["arms"][arm]["seconds"],
            }


def table(path: Path) -> str:
    """Return a file's scores as Markdown: an arm per row, a budget, policy and set per column."""
    known = pd.read_csv(path)
    columns = ["steps", "policy", "set"]
    scores = known.pivot_table(index="arm", columns=columns, values="map50_95", sort=False)
    draws = known.groupby(columns)["draw"].nunique()
    scores.columns = [
        f"{steps} {policy}, {name} ({draws[steps, policy, name]})"
        for steps, policy, name in scores.columns
    ]
    return str(scores.round(3).to_markdown())


def main() -> None:
    """Measure every draw, budget and policy that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--draws", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--steps", type=int, nargs="+", default=[3200], help="optimizer steps")
    parser.add_argument("--policy", nargs="+", default=["default"], choices=["default", "weak"])
    parser.add_argument("--config", type=Path, default=_CONFIG)
    parser.add_argument("--csv", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for steps in arguments.steps:
        for policy in arguments.policy:
            for draw in arguments.draws:
                _measure_once(
                    arguments.config, arguments.csv, draw=draw, steps=steps, policy=policy
                )
    print(table(arguments.csv))


def _measure_once(file: Path, path: Path, *, draw: int, steps: int, policy: str) -> None:
    overrides = [f"seeds=[{draw}]", f"train.detector.policy={policy}"]
    config = load_config(file, overrides)
    length = config.version.list_length
    if not isinstance(length, int) or steps * config.train.batch_size % length:
        raise SystemExit(f"{steps} steps must be whole passes over a list of {length} images")
    epochs = steps * config.train.batch_size // length
    config = load_config(file, [*overrides, f"train.epochs={epochs}"])
    decides = config.model_dump(mode="json", exclude={"report", "search"})
    settings = sha256_json(decides)[:12]
    key = {"draw": draw, "steps": steps, "policy": policy}
    if path.is_file():
        known = pd.read_csv(path)
        same = known[(known[list(key)] == pd.Series(key)).all(axis=1)]
        if (same["settings"] != settings).any():
            raise SystemExit(f"{path} has rows {key} of other settings; write to another file")
        if len(same):
            return
    metrics = measure(open_held_out(config, test=False), label=f"{steps}-{policy}")
    table = pd.DataFrame([key | row | {"settings": settings} for row in rows(metrics)])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(path, mode="a", header=not path.is_file(), index=False)
    logger.info("draw %d, %d steps, %s policy: written to %s", draw, steps, policy, path)


if __name__ == "__main__":
    main()
