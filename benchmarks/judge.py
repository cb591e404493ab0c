"""How long must a judge train? What it finds in real val images after as many steps.

    python benchmarks/judge.py configs/bccd-24.yaml --steps 1000 2000 4000 8000 \
        --csv docs/benchmarks/judge.csv score.judge.threads=1

Each number of steps is a training of its own, since the learning rate falls over its whole length.
A row is appended as soon as it is measured. `score.judge.steps` is the number after which more
bring nothing; test images have no part in it.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd
import torch

from synthdata.config import load_config
from synthdata.detectors.jobs import train_and_predict
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import evaluate_detections
from synthdata.plan import plan
from synthdata.scoring import judge_images
from synthdata.seeding import derive_seed
from synthdata.stages import run_step


def main() -> None:
    """Train a judge for each number of steps and append what it finds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs") / "judge")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    config = load_config(arguments.config, arguments.overrides)
    step = next(
        one for one in plan(config, arguments.work_dir.absolute()) if one.stage == "prepare"
    )
    run_step(step)
    prepared = load_dataset(step.out_dir)
    val, judge = prepared.split("val"), config.score.judge
    for steps in arguments.steps:
        found = train_and_predict(
            judge.detector,
            train=judge_images(prepared),
            targets=val,
            steps=steps,
            batch_size=judge.batch_size,
            seed=derive_seed(config.score.seed, "score-judge"),
            threads=judge.threads,
            out_dir=arguments.work_dir / str(steps),
        )
        measured = evaluate_detections(val, found)
        row = {
            "config": Path(arguments.config).stem,
            "steps": steps,
            "map50": measured.map50,
            **{f"map50_{name}": value for name, value in measured.per_class_map50.items()},
            "map50_95": measured.map50_95,
            "overrides": " ".join(arguments.overrides),
            "torch": torch.__version__,
        }
        arguments.csv.parent.mkdir(parents=True, exist_ok=True)
        header = not arguments.csv.is_file()
        pd.DataFrame([row]).round(4).to_csv(arguments.csv, mode="a", header=header, index=False)
        logging.info("%d steps: map50 %.3f", steps, measured.map50)


if __name__ == "__main__":
    main()
